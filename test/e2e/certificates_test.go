package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"
)

// certificateRights are what keeping certificates needs, and the Secret, which is empty at first. Reading apiservices by other
// names is for nobody but an administrator.
const certificateRights = `
apiVersion: v1
kind: Namespace
metadata: {name: foresail}
---
apiVersion: v1
kind: Service
metadata: {name: foresail, namespace: foresail}
spec: {type: ExternalName, externalName: localhost}
---
apiVersion: v1
kind: Secret
metadata: {name: foresail-tls, namespace: foresail}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: foresail-tls, namespace: foresail}
rules:
- {apiGroups: [""], resources: [secrets], resourceNames: [foresail-tls], verbs: [get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: foresail-tls, namespace: foresail}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: foresail-tls}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: foresail}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: foresail-tls}
rules:
- apiGroups: [apiregistration.k8s.io]
  resources: [apiservices]
  resourceNames: [v1beta1.custom.metrics.k8s.io, v1beta2.custom.metrics.k8s.io, v1beta1.external.metrics.k8s.io]
  verbs: [get, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: foresail-tls}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: foresail-tls}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: foresail}]
`

// apiService is an APIService that verifies by what its Service will say, and until then by nothing.
func apiService(group, version, service string, port int) string {
	return fmt.Sprintf(`
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: %[2]s.%[1]s}
spec:
  group: %[1]s
  version: %[2]s
  groupPriorityMinimum: 100
  versionPriority: 100
  service: {name: %[3]s, namespace: foresail, port: %[4]d}
`, group, version, service, port)
}

const externalDepth = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/depth"

// TestCertificates has two replicas keep an authority in one Secret: from an empty one to reads that are verified, and to
// another authority without a read that fails.
func TestCertificates(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	p := startPlane(t, time.Second)
	source := startSource(t)
	source.gauge("depth", 7)
	config := fmt.Sprintf("backends: [{name: main, prometheus: {url: %q}}]\nmetrics: [{name: depth, query: depth, interval: 1s, external: {}}]\n"+
		`web: {listen: "127.0.0.1:0"}`+"\n", source.url)
	p.mustKubectl(t, certificateRights, "apply", "-f", "-")
	keeping := []string{"--tls-secret", "foresail/foresail-tls"}
	first, second := serve(t, p, config, freePort(t), keeping...), serve(t, p, config, freePort(t), keeping...)
	p.mustKubectl(t, apiService("external.metrics.k8s.io", "v1beta1", "foresail", first.port)+
		apiService("custom.metrics.k8s.io", "v1beta2", "foresail", first.port), "apply", "-f", "-")
	p.mustKubectl(t, "", "wait", "--for=condition=Available", "--timeout=50s", "apiservice/v1beta1.external.metrics.k8s.io", "apiservice/v1beta2.custom.metrics.k8s.io")
	read := func(ctx context.Context) error {
		return p.client.Discovery().RESTClient().Get().AbsPath(externalDepth).Do(ctx).Error()
	}
	eventually(t, time.Minute, "a read", read)

	before := p.authorities(t)
	both := func(ctx context.Context) error {
		return errors.Join(shows(ctx, before, first.port), shows(ctx, before, second.port))
	}
	eventually(t, time.Minute, "both replicas serve what the first authority signed", both)

	// The authority is renewed because its key is gone. Whoever reads meanwhile, from whichever replica, notices nothing.
	p.mustKubectl(t, "", "-n", "foresail", "patch", "secret", "foresail-tls", "--type=json", "-p", `[{"op":"remove","path":"/data/ca.key"}]`)
	reads := 0
	eventually(t, 4*time.Minute, "both replicas serve what another authority signed", func(ctx context.Context) error {
		if err := read(ctx); err != nil {
			t.Fatalf("a read failed after %d: %v", reads, err)
		}
		reads++
		now := p.authorities(t)
		if err := errors.Join(shows(ctx, now, first.port), shows(ctx, now, second.port)); err != nil {
			t.Fatalf("a replica cannot be verified after %d reads: %v", reads, err)
		}
		if bytes.Equal(now, before) {
			return errors.New("there is no other authority yet")
		}
		if shows(ctx, before, first.port) == nil || shows(ctx, before, second.port) == nil {
			return errors.New("the first authority's certificate is still served")
		}
		return nil
	})
	eventually(t, time.Minute, "a read", read)
	t.Logf("%d reads while the authority was renewed", reads)
}

// authorities are the caBundle of the external metrics' APIService; verification must not be off.
func (p *plane) authorities(t *testing.T) []byte {
	t.Helper()
	var api struct {
		Spec struct {
			CABundle              []byte
			InsecureSkipTLSVerify bool
		}
	}
	text := p.mustKubectl(t, "", "get", "apiservice", "v1beta1.external.metrics.k8s.io", "-o", "json")
	if err := json.Unmarshal([]byte(text), &api); err != nil {
		t.Fatal(err)
	}
	if len(api.Spec.CABundle) == 0 || api.Spec.InsecureSkipTLSVerify {
		t.Fatalf("the APIService does not verify: %+v", api.Spec)
	}
	return api.Spec.CABundle
}

// shows checks that the server on a port shows a certificate for Foresail's Service that one of the authorities has signed.
func shows(ctx context.Context, authorities []byte, port int) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authorities)
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: "foresail.foresail.svc"}}
	connection, err := dialer.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return fmt.Errorf("cannot verify the server on port %d: %w", port, err)
	}
	return connection.Close()
}
