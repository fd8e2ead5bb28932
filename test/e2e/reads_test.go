package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
)

var (
	podKind        = schema.GroupKind{Kind: "Pod"}
	serviceKind    = schema.GroupKind{Kind: "Service"}
	nodeKind       = schema.GroupKind{Kind: "Node"}
	namespaceKind  = schema.GroupKind{Kind: "Namespace"}
	ingressKind    = schema.GroupKind{Group: "networking.k8s.io", Kind: "Ingress"}
	deploymentKind = schema.GroupKind{Group: "apps", Kind: "Deployment"}
	everything     = labels.Everything()
)

// podsScale follows a load that all pods share, up and down, by a rule and by the short form.
func podsScale(t *testing.T, s *stage) {
	const ns = "pods"
	s.namespace(t, ns, deployment("web", 2)+deployment("short", 2)+
		eager("web", 2, 12, pods("requests", "100"))+eager("short", 2, 12, pods("short_requests", "100")))
	load := map[string]*eachPod{
		"web":   s.main.eachPod(t, s.plane, ns, "web", "shop_requests", evenly(600)),
		"short": s.main.eachPod(t, s.plane, ns, "short", "shop_short", evenly(600)),
	}
	for _, app := range []string{"web", "short"} {
		s.sized(t, ns, app, 6)
	}
	alive := podNames(t, s.plane, ns, "web", 6)
	slices.Sort(alive)
	app := labels.SelectorFromSet(labels.Set{"app": "web"})
	for version, client := range s.custom {
		// The last pod's first sample may still be on its way.
		eventually(t, time.Minute, "all pods in "+version, func(context.Context) error {
			list, err := client.NamespacedMetrics(ns).GetForObjects(podKind, app, "requests", everything)
			if err != nil {
				return err
			}
			var got []string
			for _, item := range list.Items {
				got = append(got, item.DescribedObject.Name)
				if err := told(item, "Pod", "v1", ns, "requests", 100_000); err != nil {
					return err
				}
			}
			if slices.Sort(got); !slices.Equal(got, alive) {
				return fmt.Errorf("pods %v, want %v", got, alive)
			}
			return nil
		})
		one, err := client.NamespacedMetrics(ns).GetForObject(podKind, alive[0], "requests", everything)
		if err == nil {
			err = told(*one, "Pod", "v1", ns, "requests", 100_000)
		}
		if err != nil {
			t.Errorf("%s, one pod: %v", version, err)
		}
	}
	for app, use := range load {
		use.use(evenly(300))
		s.sized(t, ns, app, 3)
	}
}

// told says what is wrong with an answer.
func told(v v1beta2.MetricValue, kind, apiVersion, ns, metric string, milli int64) error {
	o := v.DescribedObject
	switch {
	case o.Kind != kind || o.APIVersion != apiVersion || o.Namespace != ns:
		return fmt.Errorf("described is %+v, want a %s of %s in namespace %q", o, kind, apiVersion, ns)
	case v.Metric.Name != metric:
		return fmt.Errorf("the metric is %q, want %q", v.Metric.Name, metric)
	case v.Value.MilliValue() != milli:
		return fmt.Errorf("the value of %s is %s, want %dm", o.Name, v.Value.String(), milli)
	case time.Since(v.Timestamp.Time) > time.Minute || time.Until(v.Timestamp.Time) > 2*time.Second: // told in whole seconds
		return fmt.Errorf("the value of %s is of %v", o.Name, v.Timestamp)
	}
	return nil
}

// objectsScale scales by metrics of a Service, an Ingress and a Deployment.
func objectsScale(t *testing.T, s *stage) {
	const ns = "objects"
	// 600 at 100 for each pod are six pods.
	s.main.gauge("front_requests", 400, "namespace", ns, "service", "front", "path", "/")
	s.main.gauge("front_requests", 200, "namespace", ns, "service", "front", "path", "/pay")
	s.main.gauge("front_requests", 1, "namespace", ns, "service", "other")
	s.main.gauge("front_requests", 1, "namespace", "elsewhere", "service", "front")
	s.main.gauge("door_requests", 600, "kube_namespace", ns, "kube_ingress", "door")
	// Twice the target: twice as many pods, again and again.
	twice := s.main.gauge("deployment_requests_now", 200, "namespace", ns, "deployment", "by-itself")
	s.namespace(t, ns, deployment("by-service", 2)+deployment("by-ingress", 2)+deployment("by-itself", 2)+`
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {ports: [{port: 80}], selector: {app: by-service}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: door}
spec: {defaultBackend: {service: {name: front, port: {number: 80}}}}
---`+eager("by-service", 2, 12, object("v1", "Service", "front", "front_requests", "averageValue", "100"))+
		eager("by-ingress", 2, 12, object("networking.k8s.io/v1", "Ingress", "door", "door_requests", "averageValue", "100"))+
		eager("by-itself", 2, 8, object("apps/v1", "Deployment", "by-itself", "deployment_requests", "value", "100")))
	s.sized(t, ns, "by-service", 6)
	s.sized(t, ns, "by-ingress", 6)
	s.sized(t, ns, "by-itself", 8)
	for version, client := range s.custom {
		for _, want := range []struct {
			kind             schema.GroupKind
			apiVersion, name string
			metric           string
			milli            int64
		}{
			{serviceKind, "v1", "front", "front_requests", 600_000},
			{serviceKind, "v1", "other", "front_requests", 1_000},
			{ingressKind, "networking.k8s.io/v1", "door", "door_requests", 600_000},
			{deploymentKind, "apps/v1", "by-itself", "deployment_requests", 200_000},
		} {
			got, err := client.NamespacedMetrics(ns).GetForObject(want.kind, want.name, want.metric, everything)
			if err == nil {
				err = told(*got, want.kind.Kind, want.apiVersion, ns, want.metric, want.milli)
			}
			if err != nil {
				t.Errorf("%s, %s %s: %v", version, want.kind, want.name, err)
			}
		}
	}
	twice.set(20)
	s.sized(t, ns, "by-itself", 2)
}

// nodesScale scales by metrics of objects that are in no namespace, for which an HPA asks through its own.
func nodesScale(t *testing.T, s *stage) {
	const ns = "nodes"
	pressure := s.main.gauge("node_pressure", 600, "node", "kwok-0")
	s.main.gauge("node_pressure", 5000, "node", "kwok-1")
	s.main.gauge("tenant_requests", 400, "namespace", ns)
	s.main.gauge("tenant_requests", 5000, "namespace", "elsewhere")
	s.namespace(t, ns, deployment("by-node", 2)+deployment("by-namespace", 2)+
		eager("by-node", 2, 12, object("v1", "Node", "kwok-0", "node_pressure", "averageValue", "100"))+
		eager("by-namespace", 2, 12, object("v1", "Namespace", ns, "tenant_requests", "averageValue", "100")))
	s.sized(t, ns, "by-node", 6)
	s.sized(t, ns, "by-namespace", 4)
	for version, client := range s.custom {
		got, err := client.RootScopedMetrics().GetForObject(nodeKind, "kwok-0", "node_pressure", everything)
		if err == nil {
			err = told(*got, "Node", "v1", "", "node_pressure", 600_000)
		}
		if err != nil {
			t.Errorf("%s, the node: %v", version, err)
		}
		if got, err = client.RootScopedMetrics().GetForObject(namespaceKind, ns, "tenant_requests", everything); err == nil {
			err = told(*got, "Namespace", "v1", "", "tenant_requests", 400_000)
		}
		if err != nil {
			t.Errorf("%s, the namespace: %v", version, err)
		}
	}
	pressure.set(300)
	s.sized(t, ns, "by-node", 3)
}

// externalScales sums what the selector leaves of a metric that several series make up.
func externalScales(t *testing.T, s *stage) {
	const ns = "external"
	s.main.gauge("queue_depth", 350, "namespace", ns, "queue", "orders", "shard", "a")
	orders := s.main.gauge("queue_depth", 250, "namespace", ns, "queue", "orders", "shard", "b")
	s.main.gauge("queue_depth", 200, "namespace", ns, "queue", "mails")
	s.main.gauge("queue_depth", 5000, "namespace", "elsewhere", "queue", "orders")
	one := strings.Replace(external("queue_depth", "100"), "name: queue_depth", "name: queue_depth, selector: {matchLabels: {queue: orders}}", 1)
	s.namespace(t, ns, deployment("one", 2)+deployment("all", 2)+eager("one", 2, 12, one)+eager("all", 2, 12, external("queue_depth", "100")))
	s.sized(t, ns, "one", 6)
	s.sized(t, ns, "all", 8)
	list, err := s.external.NamespacedMetrics(ns).List("queue_depth", everything)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, item := range list.Items {
		got[item.MetricLabels["queue"]] = item.Value.MilliValue()
	}
	if len(list.Items) != 2 || got["orders"] != 600_000 || got["mails"] != 200_000 {
		t.Errorf("the client reads %v", got)
	}
	orders.set(50)
	s.sized(t, ns, "one", 4)
	s.sized(t, ns, "all", 6)
}

// upperCase reads metrics with capitals in their names, of a rule and of the short form. The HPA's client asks in lower
// case, others do not.
func upperCase(t *testing.T, s *stage) {
	const ns = "capitals"
	waiting := s.main.gauge("Orders_Waiting", 600, "namespace", ns)
	s.main.gauge("queue_depth", 500, "namespace", ns, "queue", "orders")
	s.namespace(t, ns, deployment("rule", 2)+deployment("short", 2)+
		eager("rule", 2, 12, external("Orders_Waiting", "100"))+eager("short", 2, 12, external("Short_Depth", "100")))
	s.sized(t, ns, "rule", 6)
	s.sized(t, ns, "short", 5)
	for metric, want := range map[string]int64{
		"Orders_Waiting": 600_000, "orders_waiting": 600_000, "ORDERS_WAITING": 600_000, "Short_Depth": 500_000, "short_depth": 500_000,
	} {
		if got, err := externalValue(t.Context(), s.plane, ns, metric); err != nil || got != want {
			t.Errorf("kubectl get --raw .../%s is %dm, error %v; want %dm", metric, got, err, want)
		}
		list, err := s.external.NamespacedMetrics(ns).List(metric, everything)
		if err != nil || len(list.Items) != 1 || list.Items[0].Value.MilliValue() != want {
			t.Errorf("the client reads %s as %+v, error %v; want %dm", metric, list, err, want)
		}
	}
	waiting.set(300)
	s.sized(t, ns, "rule", 3)
}

// controllerRole is what the HPA controller may do.
const controllerRole = "system:controller:horizontal-pod-autoscaler"

// blindController lets the HPA controller read only some of the external metrics; hidden_depth is not among them.
func (s *stage) blindController(t *testing.T) {
	t.Helper()
	roles := s.client.RbacV1().ClusterRoles()
	role, err := roles.Get(t.Context(), controllerRole, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for i := range role.Rules {
		if slices.Contains(role.Rules[i].APIGroups, "external.metrics.k8s.io") {
			role.Rules[i].Resources = []string{
				"queue_depth", "short_depth", "orders_waiting", "nan_by_default", "nan_omitted", "nan_short", "frail_io", "frail_short",
			}
			found = true
		}
	}
	if !found {
		t.Fatalf("the role %s says nothing of external metrics: %+v", controllerRole, role.Rules)
	}
	if _, err := roles.Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// accessDenied reads without the rights to: through the plane's API server and past it, as a service account and as the
// HPA controller.
func accessDenied(t *testing.T, s *stage) {
	const ns = "denied"
	s.main.gauge("queue_depth", 100, "namespace", ns, "queue", "orders")
	s.main.gauge("hidden_depth", 600, "namespace", ns, "queue", "orders")
	s.namespace(t, ns, deployment("web", 4)+eager("web", 2, 12, external("hidden_depth", "100"))+`
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules:
- {apiGroups: [external.metrics.k8s.io], resources: [queue_depth], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader}]
`)
	unmoved := s.unmoved(t, ns, "web")
	s.unknown(t, ns, "web", "hidden_depth", "forbidden", "horizontal-pod-autoscaler")
	unmoved(0)

	const group = "/apis/external.metrics.k8s.io/v1beta1/namespaces/" + ns
	paths := map[string]int{
		group + "/queue_depth":  http.StatusOK,
		group + "/hidden_depth": http.StatusForbidden,
		"/apis/external.metrics.k8s.io/v1beta1/namespaces/elsewhere/queue_depth":        http.StatusForbidden,
		"/apis/custom.metrics.k8s.io/v1beta2/namespaces/" + ns + "/pods/*/requests":     http.StatusForbidden,
		"/apis/custom.metrics.k8s.io/v1beta1/nodes/kwok-0/node_pressure":                http.StatusForbidden,
		"/apis/custom.metrics.k8s.io/v1beta2/namespaces/" + ns + "/metrics/no_such_one": http.StatusForbidden,
	}
	token := s.token(t, ns, "reader")
	for where, address := range map[string]string{
		"through the plane": s.config.Host,
		"past it":           fmt.Sprintf("https://127.0.0.1:%d", s.port),
	} {
		for path, want := range paths {
			eventually(t, time.Minute, fmt.Sprintf("answering %s %s with %d", path, where, want), func(ctx context.Context) error {
				return answers(ctx, address+path, token, want)
			})
		}
		if err := answers(t.Context(), address+group+"/queue_depth", "", http.StatusForbidden); err != nil {
			t.Errorf("%s, without a token: %v", where, err)
		}
		if err := answers(t.Context(), address+group+"/queue_depth", "wrong", http.StatusUnauthorized); err != nil {
			t.Errorf("%s, with a wrong token: %v", where, err)
		}
	}
	reader := rest.AnonymousClientConfig(s.config)
	reader.BearerToken = token
	if client, err := kubernetes.NewForConfig(reader); err != nil {
		t.Error(err)
	} else if _, err := client.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("the service account lists pods, error %v: the test proves nothing", err)
	}
	unmoved(0)

	// With the right it goes on.
	grant := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "hidden", Namespace: ns},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"external.metrics.k8s.io"}, Resources: []string{"hidden_depth"}, Verbs: []string{"list"}}},
	}
	bind := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "hidden", Namespace: ns},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "hidden"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "kube-system", Name: "horizontal-pod-autoscaler"}},
	}
	if _, err := s.client.RbacV1().Roles(ns).Create(t.Context(), grant, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.RbacV1().RoleBindings(ns).Create(t.Context(), bind, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.sized(t, ns, "web", 6)
}

// token returns a bearer token of a service account.
func (p *plane) token(t *testing.T, ns, name string) string {
	t.Helper()
	got, err := p.client.CoreV1().ServiceAccounts(ns).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("cannot get a token of the service account %s: %v", name, err)
	}
	return got.Status.Token
}

// unverified is a client that takes any server, by a connection of its own for each request: what is tested is what is answered, and
// certificates have tests of their own.
func unverified(certificates ...tls.Certificate) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certificates}, DisableKeepAlives: true,
	}}
}

// answers says how the answer to a GET differs from the status wanted; those that are errors must say so as Kubernetes
// does, where Kubernetes does.
func answers(ctx context.Context, url, token string, want int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := unverified().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var status metav1.Status
	err = json.Unmarshal(body, &status)
	if response.StatusCode != want || err != nil || want != http.StatusOK && (status.Kind != "Status" || status.Code != int32(want)) {
		return fmt.Errorf("status %d, %s", response.StatusCode, body)
	}
	return nil
}
