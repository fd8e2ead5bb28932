package plane

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestVersionFlags(t *testing.T) {
	got, err := versionFlags("v1.36.3")
	const pkg = " -X k8s.io/component-base/version."
	if want := pkg + "gitVersion=v1.36.3" + pkg + "gitMajor=1" + pkg + "gitMinor=36"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := versionFlags("v1.36"); err == nil {
		t.Error("v1.36 is no full version, want an error")
	}
}

func TestDelayed(t *testing.T) {
	const stage = "kind: Stage\nspec:\n  next:\n    delete: true\n"
	got, err := delayed(stage, 1500*time.Millisecond)
	if want := "kind: Stage\nspec:\n  delay:\n    durationMilliseconds: 1500\n  next:\n    delete: true\n"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	for _, bad := range []string{"kind: Stage\n", stage + stage, "kind: Stage\nspec:\n  delay: {}\n"} {
		if got, err := delayed(bad, time.Second); err == nil {
			t.Errorf("a stage not written as expected became %q, want an error", got)
		}
	}
}

func TestKeys(t *testing.T) {
	keys, err := newPKI(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	verify := func(authority, id *identity, name string) error {
		roots := x509.NewCertPool()
		roots.AddCert(authority.cert)
		_, err := id.cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		return err
	}
	if err := verify(keys.ca, keys.foresailServing, "foresail.foresail.svc"); err != nil {
		t.Errorf("the aggregator would refuse Foresail's certificate: %v", err)
	}
	if err := verify(keys.frontProxy, keys.proxyClient, ""); err != nil {
		t.Errorf("Foresail would refuse the aggregator's certificate: %v", err)
	}
	if verify(keys.frontProxy, keys.admin, "") == nil {
		t.Error("the front proxy's authority vouches for a user, who could then claim to be anybody")
	}
}

func TestFreePortsDiffer(t *testing.T) {
	ports, err := freePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if n := len(slices.Compact(ports)); n != 20 {
		t.Errorf("%d different ports of 20", n)
	}
}

// TestModuleDir looks for the module from inside it and from the repository above it.
func TestModuleDir(t *testing.T) {
	inside, err := ModuleDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(inside, "..", ".."))
	if above, err := ModuleDir(); err != nil || above != inside {
		t.Errorf("from the repository: %s, %v; want %s", above, err, inside)
	}
	t.Chdir(t.TempDir())
	if dir, err := ModuleDir(); err == nil {
		t.Errorf("outside the repository: %s, want an error", dir)
	}
}

// TestTakeDir: a folder is one plane's at a time, and only what a plane left there is ever removed.
func TestTakeDir(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "pki", "ca.key")
	if err := os.MkdirAll(filepath.Dir(precious), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := takeDir(dir); err == nil {
		t.Error("took a folder with somebody's keys, want an error")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("somebody's key is gone: %v", err)
	}

	dir = filepath.Join(t.TempDir(), "plane")
	unlock, err := takeDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "etcd"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := takeDir(dir); err == nil {
		t.Error("took a folder in use, want an error")
	}
	unlock()
	unlock, err = takeDir(dir)
	if err != nil {
		t.Fatalf("cannot take over an earlier plane's folder: %v", err)
	}
	defer unlock()
	if _, err := os.Stat(filepath.Join(dir, "etcd")); err == nil {
		t.Error("an earlier plane's data is still there")
	}
}
