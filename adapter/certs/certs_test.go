package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	certutil "k8s.io/client-go/util/cert"
)

var (
	start  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	wanted = terms(types.NamespacedName{Namespace: "foresail", Name: "foresail"})
)

const (
	serverName = "foresail.foresail.svc" // by which the aggregator asks
	day        = 24 * time.Hour
)

// verify is what the aggregator does: with the bundle of an APIService, at a time, with the certificate that a server shows.
func verify(bundle, certificate []byte, at time.Time) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return errors.New("there is no authority in the bundle")
	}
	shown, err := certutil.ParseCertsPEM(certificate)
	if err != nil {
		return err
	}
	_, err = shown[0].Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, DNSName: serverName})
	return err
}

// renew does what a look at the Secret does: read, renew, write.
func renew(t *testing.T, data map[string][]byte, told bool, now time.Time) (map[string][]byte, []string) {
	t.Helper()
	set, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	next, why, err := wanted.Renew(set, told, now)
	if err != nil {
		t.Fatal(err)
	}
	if len(why) == 0 {
		return data, nil
	}
	if data, err = next.Data(); err != nil {
		t.Fatal(err)
	}
	return data, why
}

func TestAnEmptySecretIsFilled(t *testing.T) {
	data, why := renew(t, nil, true, start)
	if len(why) != 2 {
		t.Errorf("renewed because of %q, want an authority and a serving certificate", why)
	}
	if _, err := tls.X509KeyPair(data[keyServing], data[keyServingKey]); err != nil {
		t.Error(err)
	}
	// The clocks of API servers differ, and the certificate is good for 90 days.
	for at, good := range map[time.Time]bool{
		start: true, start.Add(-59 * time.Minute): true, start.Add(90 * day): true,
		start.Add(-61 * time.Minute): false, start.Add(90*day + time.Second): false,
	} {
		if err := verify(data[keyBundle], data[keyServing], at); (err == nil) != good {
			t.Errorf("at %v: %v, want it to be good: %v", at, err, good)
		}
	}
	if again, why := renew(t, data, true, start); len(why) > 0 || !bytes.Equal(again[keyServing], data[keyServing]) {
		t.Errorf("renewed again at once: %q", why)
	}
}

// Of the serving certificate 90 days and the hour before count, a third of which is 30 days and 20 minutes.
func TestWhatIsDueWhen(t *testing.T) {
	data, _ := renew(t, nil, true, start)
	other, _ := renew(t, nil, true, start)
	with := func(changes map[string][]byte) map[string][]byte {
		changed := map[string][]byte{}
		for _, from := range []map[string][]byte{data, changes} {
			maps.Copy(changed, from)
		}
		return changed
	}
	for _, c := range []struct {
		name string
		data map[string][]byte
		at   time.Duration
		want []string // parts of the reasons, in order
	}{
		{"nothing", data, 60*day - 21*time.Minute, nil},
		{"the serving certificate, when a third is left", data, 60*day - 20*time.Minute, []string{"serving certificate: it ends at 2027-02-21T12:00:00Z"}},
		{"the serving certificate, once it has ended", data, 91 * day, []string{"serving certificate: it was not valid: "}},
		{"the authority, and both have ended", data, 400 * day, []string{"authority: it ends at 2027-11-23T12:00:00Z", "serving certificate: it was not valid: "}},
		{"all, as the clock was far ahead", data, -400 * day, []string{"authority: it was not valid before 2026-11-23T11:00:00Z", "serving certificate: it was not valid: "}},
		{"the authority, without its key", with(map[string][]byte{keyAuthorityKey: nil}), 0, []string{"authority: its key was missing, or another's"}},
		{"the authority, with a broken key", with(map[string][]byte{keyAuthorityKey: []byte("x")}), 0, []string{"authority: its key was missing"}},
		{"the authority, with another's key", with(map[string][]byte{keyAuthorityKey: other[keyAuthorityKey]}), 0, []string{"authority: its key was missing"}},
		{"the serving certificate, which is broken", with(map[string][]byte{keyServing: []byte("x")}), 0, []string{"serving certificate: there was none with its key"}},
		{"the serving certificate, with another's key", with(map[string][]byte{keyServingKey: other[keyServingKey]}), 0, []string{"serving certificate: there was none with its key"}},
		{
			"the serving certificate, of another authority", with(map[string][]byte{keyServing: other[keyServing], keyServingKey: other[keyServingKey]}), 0,
			[]string{"serving certificate: it was not valid: "},
		},
	} {
		next, why := renew(t, c.data, true, start.Add(c.at))
		matches := len(why) == len(c.want)
		for i := range why {
			matches = matches && strings.HasPrefix(why[i], c.want[i])
		}
		if !matches {
			t.Errorf("%s: renewed because of %q, want %q", c.name, why, c.want)
		}
		if err := verify(next[keyBundle], next[keyServing], start.Add(c.at)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAnotherServiceIsDue(t *testing.T) {
	data, _ := renew(t, nil, true, start)
	set, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	moved := terms(types.NamespacedName{Namespace: "autoscaling", Name: "foresail"})
	next, why, err := moved.Renew(set, true, start)
	if err != nil || len(why) != 1 || !strings.Contains(why[0], "it was not for this Service") || next.serving.VerifyHostname("foresail.autoscaling.svc") != nil {
		t.Errorf("%q, %v", why, err)
	}
}

// A new authority is told of first, and its certificate is served when clients know it.
func TestTheAuthorityIsRenewedInTwoSteps(t *testing.T) {
	before, _ := renew(t, nil, true, start)
	delete(before, keyAuthorityKey)
	first, why := renew(t, before, true, start)
	if len(why) != 1 || !bytes.Equal(first[keyServing], before[keyServing]) || !bytes.HasSuffix(first[keyBundle], before[keyBundle]) {
		t.Fatalf("the first step is %q", why)
	}
	for _, c := range []struct {
		told bool
		at   time.Duration
		want bool
	}{
		{true, time.Minute - time.Second, false}, // Settle is a minute
		{true, time.Minute, true},
		{false, time.Hour, false},
		{false, 89 * day, false},
		{false, 91 * day, true}, // it has ended: nothing to lose
	} {
		second, why := renew(t, first, c.told, start.Add(c.at))
		if (len(why) > 0) != c.want {
			t.Errorf("%+v: renewed because of %q", c, why)
		}
		if err := verify(before[keyBundle], second[keyServing], start.Add(c.at)); c.want == (err == nil) {
			t.Errorf("%+v: by the old authority: %v", c, err)
		}
	}
	end := start.Add(366 * day) // when the first authority is over it is left out with the next that is made
	last, _ := renew(t, first, true, end)
	if authorities, err := certutil.ParseCertsPEM(last[keyBundle]); err != nil || len(authorities) != 1 {
		t.Errorf("%d authorities are left, %v", len(authorities), err)
	}
}

func TestTheBundleIsBounded(t *testing.T) {
	data, _ := renew(t, nil, true, start)
	for i := range 20 {
		delete(data, keyAuthorityKey)
		now := start.Add(time.Duration(i) * time.Second)
		data, _ = renew(t, data, true, now)
		authorities, err := certutil.ParseCertsPEM(data[keyBundle])
		if want := min(i+2, mostAuthorities); err != nil || len(authorities) != want {
			t.Fatalf("%d authorities after %d renewals, %v, want %d", len(authorities), i+1, err, want)
		}
		if err := verify(data[keyBundle], data[keyServing], now); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsNotOursIsNotReplaced(t *testing.T) {
	data, _ := renew(t, nil, true, start)
	template := &x509.Certificate{NotBefore: start, NotAfter: start.Add(day)}
	template.Subject.CommonName = "another"
	foreign, _, err := newCertificate(template, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		data map[string][]byte
		want string
	}{
		{map[string][]byte{keyServing: data[keyServing], keyServingKey: data[keyServingKey]}, "it has tls.crt and no ca.crt"},
		{map[string][]byte{keyAuthorityKey: []byte("x")}, "it has ca.key and no ca.crt"},
		{map[string][]byte{keyBundle: []byte("garbage")}, "its ca.crt is no list of certificates in PEM"},
		{map[string][]byte{keyBundle: append([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), data[keyBundle]...)}, "its ca.crt is no list of certificates (x509: "},
		{map[string][]byte{keyBundle: data[keyBundle][:len(data[keyBundle])-40]}, "its ca.crt is no list of certificates in PEM"},
		{map[string][]byte{keyBundle: append(bytes.Clone(data[keyBundle]), certificatePEM(foreign)...)}, `the authority "CN=another" is in its ca.crt`},
	} {
		if _, err := Read(c.data); !errors.Is(err, ErrForeign) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	for _, empty := range []map[string][]byte{nil, {}, {keyServing: {}, keyServingKey: {}}, {"notes": []byte("mine")}} {
		if _, err := Read(empty); err != nil {
			t.Errorf("%v: %v", empty, err)
		}
	}
}

// Three years of two servers that look at the Secret when they like, and not for days at times; whatever each of them
// serves can be verified by what the APIServices have been told, which cannot always be written.
func TestNothingIsLostInThreeYears(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 2))
	var secret map[string][]byte
	var told []byte
	var served [2][]byte
	var away [2]time.Time
	renewals := 0
	for now := start; now.Before(start.Add(3 * 365 * day)); now = now.Add(12 * time.Hour) {
		for i := range served {
			if now.Before(away[i]) {
				continue
			}
			if random.IntN(80) == 0 && secret != nil {
				delete(secret, keyAuthorityKey) // somebody has the authority renewed
			}
			known := bytes.Equal(told, secret[keyBundle])
			next, why := renew(t, secret, known, now)
			renewals += len(why)
			secret, served[i] = next, next[keyServing]
			if told == nil || random.IntN(3) > 0 {
				told = next[keyBundle]
			}
			if random.IntN(40) == 0 {
				away[i] = now.Add(time.Duration(random.IntN(20*24)) * time.Hour) // the API server cannot be reached
			}
		}
		for i := range served {
			if err := verify(told, served[i], now); err != nil {
				t.Fatalf("%v after the start, server %d: %v", now.Sub(start), i, err)
			}
		}
	}
	if renewals < 3*6+3 {
		t.Errorf("only %d renewals", renewals)
	}
}

func FuzzRead(f *testing.F) {
	set, _, err := wanted.Renew(Set{}, true, start)
	if err != nil {
		f.Fatal(err)
	}
	data, err := set.Data()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[keyBundle], data[keyAuthorityKey], data[keyServing], data[keyServingKey])
	f.Add([]byte(nil), []byte(nil), []byte("x"), []byte(nil))
	f.Fuzz(func(t *testing.T, bundle, authorityKey, serving, servingKey []byte) {
		set, err := Read(map[string][]byte{keyBundle: bundle, keyAuthorityKey: authorityKey, keyServing: serving, keyServingKey: servingKey})
		if err != nil {
			return
		}
		next, _, err := wanted.Renew(set, true, start)
		if err != nil {
			t.Fatal(err)
		}
		data, err := next.Data()
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(data[keyBundle], data[keyServing], start); err != nil {
			t.Errorf("%v, of %q", err, bundle)
		}
	})
}
