package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestPlane lives one plane's life: pods, an aggregated API, an HPA, a namespace's end, and a stop.
func TestPlane(t *testing.T) {
	t.Parallel()
	p := startPlane(t)
	t.Logf("ready after %v with %d MB resident", p.took.Round(100*time.Millisecond), residentMB(t, p.dir))
	p.kubectl(t, web(5), "apply", "-f", "-")
	p.kubectl(t, "", "wait", "-n", "shop", "deployment/web", "--for=jsonpath={.status.readyReplicas}=5", "--timeout=20s")
	p.kubectl(t, "", "scale", "-n", "shop", "deployment/web", "--replicas=8")
	p.kubectl(t, "", "wait", "-n", "shop", "deployment/web", "--for=jsonpath={.status.readyReplicas}=8", "--timeout=20s")

	t.Run("an aggregated API is Available and hears who asks", func(t *testing.T) {
		var user atomic.Pointer[string]
		port := serveDiscovery(t, filepath.Join(p.dir, "pki", "foresail-serving"), &user)
		p.launcher(t, "register", "--kubeconfig", p.kubeconfig, "--port", port, "--ca-file", filepath.Join(p.dir, "pki", "ca.crt"))
		got := p.kubectl(t, "", "get", "--raw", "/apis/custom.metrics.k8s.io/v1beta2")
		if !strings.Contains(got, `"groupVersion":"custom.metrics.k8s.io/v1beta2"`) {
			t.Errorf("the aggregator answered %s", got)
		}
		if u := user.Load(); u == nil || *u != "admin" {
			t.Errorf("the aggregated server saw no user admin")
		}
		// Preferred is the version with the larger priority.
		if got := p.kubectl(t, "", "get", "--raw", "/apis/custom.metrics.k8s.io"); !strings.Contains(got, `"preferredVersion":{"groupVersion":"custom.metrics.k8s.io/v1beta2"`) {
			t.Errorf("the group's page is %s", got)
		}
	})
	t.Run("the HPA controller runs and reports a metric that is not there", func(t *testing.T) {
		p.kubectl(t, hpa, "apply", "-f", "-")
		p.kubectl(t, "", "wait", "-n", "shop", "hpa/web", "--for=condition=ScalingActive=false", "--timeout=20s")
		reason := p.kubectl(t, "", "get", "-n", "shop", "hpa/web", "-o", `jsonpath={.status.conditions[?(@.type=="ScalingActive")].reason}`)
		if reason != "FailedGetExternalMetric" {
			t.Errorf("ScalingActive is false for reason %q, want FailedGetExternalMetric", reason)
		}
		p.kubectl(t, "", "wait", "-n", "shop", "hpa/web", "--for=jsonpath={.status.currentReplicas}=8", "--timeout=20s") // Unmoved.
	})
	t.Run("the user foresail may do what the adapter needs and no more", func(t *testing.T) {
		for question, want := range map[string]string{
			"create subjectaccessreviews.authorization.k8s.io":  "yes",
			"create tokenreviews.authentication.k8s.io":         "yes",
			"get configmaps/extension-apiserver-authentication": "yes",
			"watch pods --all-namespaces":                       "yes",
			"delete pods --all-namespaces":                      "no",
			"get secrets --all-namespaces":                      "no",
		} {
			args := append([]string{"--kubeconfig", filepath.Join(p.dir, "foresail.kubeconfig"), "auth", "can-i", "-n", "kube-system"}, strings.Fields(question)...)
			out, _ := exec.Command(p.kubectlPath, args...).Output() // The answer no is exit status 1.
			if got := strings.TrimSpace(string(out)); got != want {
				t.Errorf("may foresail %s: got %q, want %q", question, got, want)
			}
		}
	})
	t.Run("a namespace goes, pods and all", func(t *testing.T) {
		p.kubectl(t, "", "delete", "namespace", "shop", "--timeout=60s")
	})

	begin := time.Now()
	p.stdin.Close() // As when the parent is gone.
	if err := p.wait(); err != nil {
		t.Errorf("the launcher ended with %v, want exit status 0; it said:\n%s", err, p.stderr)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("stopping took %v, want less than 5s", took)
	}
	if left := processesOf(t, p.dir); len(left) > 0 {
		t.Errorf("left running: %v", left)
	}
}

// TestKilledLauncherLeavesNothing kills the launcher as the kernel would when memory is short. Its plane runs beside
// TestPlane's, so it also shows that ports do not clash; its pods take their time.
func TestKilledLauncherLeavesNothing(t *testing.T) {
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("no /proc: only Linux ties the life of the children to the launcher's")
	}
	t.Parallel()
	p := startPlane(t, "--nodes", "3", "--pod-ready-delay", "4s")
	p.kubectl(t, web(1), "apply", "-f", "-")
	p.kubectl(t, "", "wait", "-n", "shop", "deployment/web", "--for=jsonpath={.status.readyReplicas}=1", "--timeout=30s")
	var pod struct {
		Items []struct {
			Metadata struct{ CreationTimestamp time.Time }
			Status   struct{ StartTime time.Time }
		}
	}
	if err := json.Unmarshal([]byte(p.kubectl(t, "", "get", "pods", "-n", "shop", "-o", "json")), &pod); err != nil || len(pod.Items) != 1 {
		t.Fatalf("%d pods, error %v; want one pod", len(pod.Items), err)
	}
	// Both times are cut to whole seconds: 4 s apart reads as 4 or, where kwok's timer was early by a little, 3.
	if d := pod.Items[0].Status.StartTime.Sub(pod.Items[0].Metadata.CreationTimestamp); d < 3*time.Second || d > 15*time.Second {
		t.Errorf("the pod was Ready %v after its creation, want about 4s", d)
	}

	if running := processesOf(t, p.dir); len(running) != 5 {
		t.Fatalf("running: %v, want the launcher and its four children", running)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.wait()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left := processesOf(t, p.dir)
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left running after 5s: %v", left)
		}
	}
}

// TestDeadChild checks that a part that dies takes the plane down by name.
func TestDeadChild(t *testing.T) {
	if _, err := os.Stat("/proc/self/cmdline"); err != nil {
		t.Skip("no /proc: this test finds the child there")
	}
	p := launch(t)
	var etcd int
	for deadline := time.Now().Add(20 * time.Second); etcd == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("etcd did not start")
		}
		for pid, command := range processesOf(t, p.dir) {
			if filepath.Base(command) == "etcd" {
				etcd = pid
			}
		}
	}
	if err := syscall.Kill(etcd, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := p.wait()
	if p.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("the launcher ended with %v, want exit status 1", err)
	}
	if want := "etcd ended unexpectedly: signal: killed"; !strings.Contains(p.stderr.String(), want) {
		t.Errorf("the launcher said %q, want %q in it", p.stderr, want)
	}
}

// TestOnePlanePerFolder checks that a second plane does not wipe the folder of a first that still runs.
func TestOnePlanePerFolder(t *testing.T) {
	first := launch(t)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(first.dir, "pki", "ca.crt")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the first plane wrote no keys")
		}
	}
	out, err := exec.Command(first.binary, "up", "--dir", first.dir, "--bin", binDir(t)).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another plane is running there") {
		t.Errorf("a second plane in the same folder: error %v, said %q", err, out)
	}
}

// launched is a launcher that was started; running also knows the plane's client.
type launched struct {
	binary, dir string
	cmd         *exec.Cmd
	stdin       io.Closer
	stdout      io.Reader
	stderr      *bytes.Buffer
	waited      bool
	err         error
}

type running struct {
	*launched
	kubeconfig, kubectlPath string
	took                    time.Duration
}

// binDir is where `controlplane build` puts the binaries by default.
func binDir(t *testing.T) string {
	t.Helper()
	bin, err := filepath.Abs("bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kwok", "kubectl", "stages"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			t.Skipf("no control plane to test: %v; run `controlplane build` (cold: some minutes) first", err)
		}
	}
	return bin
}

func launch(t *testing.T, args ...string) *launched {
	t.Helper()
	bin := binDir(t)
	l := &launched{binary: filepath.Join(t.TempDir(), "controlplane"), dir: t.TempDir(), stderr: new(bytes.Buffer)}
	if out, err := exec.Command("go", "build", "-o", l.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("cannot build the launcher: %v\n%s", err, out)
	}
	l.cmd = exec.Command(l.binary, append([]string{"up", "--dir", l.dir, "--bin", bin}, args...)...)
	l.cmd.Stderr = l.stderr
	var err error
	if l.stdin, err = l.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if l.stdout, err = l.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.stdin.Close()
		_ = l.wait()
	})
	return l
}

func (l *launched) wait() error {
	if !l.waited {
		l.err, l.waited = l.cmd.Wait(), true
	}
	return l.err
}

var readyLine = regexp.MustCompile(`^ready kubeconfig=(\S+) kubectl=(\S+)$`)

func startPlane(t *testing.T, args ...string) *running {
	t.Helper()
	begin := time.Now()
	p := &running{launched: launch(t, args...)}
	line, err := bufio.NewReader(p.stdout).ReadString('\n')
	found := readyLine.FindStringSubmatch(strings.TrimSpace(line))
	if err != nil || found == nil {
		_ = p.wait()
		t.Fatalf("the launcher printed %q (%v), want a ready line; it said:\n%s", line, err, p.stderr)
	}
	p.kubeconfig, p.kubectlPath, p.took = found[1], found[2], time.Since(begin)
	return p
}

// kubectl returns standard output and fails the test on any other exit status than 0.
func (p *running) kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	return p.command(t, p.kubectlPath, stdin, append([]string{"--kubeconfig", p.kubeconfig}, args...)...)
}

func (p *running) launcher(t *testing.T, args ...string) {
	t.Helper()
	p.command(t, p.binary, "", append(args, "--bin", filepath.Dir(p.kubectlPath))...)
}

func (p *running) command(t *testing.T, path, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "HOME="+p.dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(path), strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// processesOf returns the running programs, by process id, that have dir in their command line.
func processesOf(t *testing.T, dir string) map[int]string {
	t.Helper()
	found := make(map[int]string)
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(text, []byte(dir)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		command, _, _ := strings.Cut(string(text), "\x00")
		found[pid] = command
	}
	return found
}

// residentMB sums the resident memory of the plane that runs in dir; 0 without /proc.
func residentMB(t *testing.T, dir string) int {
	t.Helper()
	pages := 0
	for pid := range processesOf(t, dir) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if fields := strings.Fields(string(text)); err == nil && len(fields) > 1 {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			pages += n
		}
	}
	return pages * os.Getpagesize() >> 20
}

// serveDiscovery answers discovery of any API group on a free loopback port, which it returns, and keeps the last user named.
func serveDiscovery(t *testing.T, keyPair string, user *atomic.Pointer[string]) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(keyPair+".crt", keyPair+".key")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u := r.Header.Get("X-Remote-User"); u == "admin" {
			user.Store(&u)
		}
		group := strings.TrimPrefix(r.URL.Path, "/apis/")
		if strings.Count(group, "/") != 1 {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":%q,"resources":[]}`, group)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// web is a Deployment of pods on the fake node; there is no scheduler, so the template names the node.
func web(replicas int) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: %d
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeName: kwok-0
      containers: [{name: web, image: web}]
`, replicas)
}

const hpa = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 1
  maxReplicas: 20
  metrics:
  - {type: External, external: {metric: {name: nobody_serves_this}, target: {type: AverageValue, averageValue: "10"}}}
`
