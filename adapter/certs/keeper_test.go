package certs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/rest"
)

const (
	secretPath = "/api/v1/namespaces/foresail/secrets/foresail-tls"
	apiPath    = "/apis/apiregistration.k8s.io/v1/apiservices/"
	external   = "v1beta1.external.metrics.k8s.io"
)

// cluster is the part of an API server that a keeper talks to: objects by their paths, each with a version that a write has to
// name. It answers within the process, so that a test's time is its time, too.
type cluster struct {
	mu       sync.Mutex
	objects  map[string]map[string]any
	versions int
	writes   []string // METHOD path
	refuse   map[string]int
	away     bool
	// before is called with each request before it is answered, without the lock.
	before func(r *http.Request)
	// ahead is by how much its clock is ahead of the test's.
	ahead time.Duration
}

// newCluster has an empty Secret, and an APIService for each name that points to the Service.
func newCluster(apis ...string) *cluster {
	c := &cluster{objects: map[string]map[string]any{}, refuse: map[string]int{}}
	c.put(secretPath, map[string]any{"kind": "Secret", "apiVersion": "v1", "metadata": map[string]any{"name": "foresail-tls", "namespace": "foresail"}})
	for _, name := range apis {
		c.put(apiPath+name, map[string]any{
			"kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1", "metadata": map[string]any{"name": name},
			"spec": map[string]any{"insecureSkipTLSVerify": true, "service": map[string]any{"namespace": "foresail", "name": "foresail"}},
		})
	}
	return c
}

func (c *cluster) put(path string, object map[string]any) {
	c.versions++
	object["metadata"].(map[string]any)["resourceVersion"] = fmt.Sprint(c.versions)
	c.objects[path] = object
}

// RoundTrip implements http.RoundTripper.
func (c *cluster) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.before != nil {
		c.before(r)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	c.answer(w, r)
	response := w.Result()
	response.Header.Set("Date", time.Now().Add(c.ahead).UTC().Format(http.TimeFormat))
	response.Header.Set("Content-Type", "application/json")
	return response, nil
}

func (c *cluster) answer(w http.ResponseWriter, r *http.Request) {
	fail := func(code int, reason string) {
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":"%s it is"}`, reason, code, reason)
	}
	object, exists := c.objects[r.URL.Path]
	if code := c.refuse[r.Method+" "+r.URL.Path]; code != 0 {
		fail(code, map[int]string{http.StatusForbidden: "Forbidden", http.StatusInternalServerError: "InternalError"}[code])
		return
	}
	if !exists {
		fail(http.StatusNotFound, "NotFound")
		return
	}
	if r.Method != http.MethodGet {
		body, _ := io.ReadAll(r.Body)
		var sent map[string]any
		if err := json.Unmarshal(body, &sent); err != nil {
			fail(http.StatusBadRequest, "BadRequest")
			return
		}
		version := object["metadata"].(map[string]any)["resourceVersion"]
		if sent["metadata"].(map[string]any)["resourceVersion"] != version {
			fail(http.StatusConflict, "Conflict")
			return
		}
		if r.Method == http.MethodPatch {
			spec := maps.Clone(object["spec"].(map[string]any))
			for k, v := range sent["spec"].(map[string]any) {
				spec[k] = v
				if v == nil {
					delete(spec, k)
				}
			}
			sent = maps.Clone(object)
			sent["metadata"], sent["spec"] = maps.Clone(object["metadata"].(map[string]any)), spec
		}
		c.put(r.URL.Path, sent)
		c.writes = append(c.writes, r.Method+" "+r.URL.Path)
		object = sent
	}
	_ = json.NewEncoder(w).Encode(object)
}

// written returns the writes since the last call.
func (c *cluster) written() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	writes := c.writes
	c.writes = nil
	return writes
}

// secret returns the Secret, which change may change first.
func (c *cluster) secret(t *testing.T, change func(data map[string][]byte)) map[string][]byte {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	text, err := json.Marshal(c.objects[secretPath])
	if err != nil {
		t.Fatal(err)
	}
	var secret corev1.Secret
	if err := json.Unmarshal(text, &secret); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		if secret.Data == nil {
			secret.Data = map[string][]byte{}
		}
		change(secret.Data)
		object := maps.Clone(c.objects[secretPath])
		object["data"], object["metadata"] = secret.Data, map[string]any{"name": "foresail-tls", "namespace": "foresail"}
		c.put(secretPath, object)
	}
	return secret.Data
}

// spec returns that of an APIService.
func (c *cluster) spec(t *testing.T, name string) (bundle []byte, insecure bool) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	text, err := json.Marshal(c.objects[apiPath+name]["spec"])
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		CABundle              []byte
		InsecureSkipTLSVerify bool
	}
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	return spec.CABundle, spec.InsecureSkipTLSVerify
}

// replica is a keeper and what it has logged.
type replica struct {
	*Keeper
	log      *bytes.Buffer
	enqueued int
	registry *prometheus.Registry
}

// Enqueue implements dynamiccertificates.Listener.
func (r *replica) Enqueue() { r.enqueued++ }

// said returns what was logged since the last call.
func (r *replica) said() string {
	text := r.log.String()
	r.log.Reset()
	return text
}

func newReplica(t *testing.T, c *cluster, apis ...string) *replica {
	t.Helper()
	r := &replica{log: &bytes.Buffer{}, registry: prometheus.NewRegistry()}
	fallback, err := dynamiccertificates.NewStaticCertKeyContent("fallback", fallbackPair[0], fallbackPair[1])
	if err != nil {
		t.Fatal(err)
	}
	r.Keeper, err = New(Options{
		Client:      &rest.Config{Host: "http://api.test", Transport: c, ContentConfig: rest.ContentConfig{ContentType: "application/json"}},
		Secret:      types.NamespacedName{Namespace: "foresail", Name: "foresail-tls"},
		Service:     types.NamespacedName{Namespace: "foresail", Name: "foresail"},
		APIServices: apis, Fallback: fallback, Registerer: r.registry,
		Logger: slog.New(slog.NewTextHandler(r.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.AddListener(r)
	return r
}

// fallbackPair is a certificate that nobody trusts.
var fallbackPair = func() (pair [2][]byte) {
	set, _, err := terms(types.NamespacedName{Namespace: "none", Name: "none"}).Renew(Set{}, true, time.Now())
	if err == nil {
		pair[0], pair[1], err = set.Pair()
	}
	if err != nil {
		return [2][]byte{[]byte(err.Error())}
	}
	return pair
}()

// look has a replica look once.
func (r *replica) look(t *testing.T) {
	t.Helper()
	if err := r.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// verified checks that what a replica serves is verified by an APIService now.
func verified(t *testing.T, c *cluster, api string, replicas ...*replica) {
	t.Helper()
	bundle, insecure := c.spec(t, api)
	for i, r := range replicas {
		certificate, _ := r.CurrentCertKeyContent()
		if err := verify(bundle, certificate, time.Now().Add(c.ahead)); err != nil || insecure {
			t.Errorf("replica %d: %v; unverified is %v\n%s", i, err, insecure, r.log)
		}
	}
}

func TestTwoReplicasStartAtOnce(t *testing.T) {
	c := newCluster(external)
	a, b := newReplica(t, c, external), newReplica(t, c, external)
	// Both have read the empty Secret before either writes.
	var gate sync.WaitGroup
	gate.Add(2)
	var first sync.Map
	c.before = func(r *http.Request) {
		if r.Method == http.MethodPut {
			if _, again := first.LoadOrStore(fmt.Sprintf("%p", r.Context()), true); !again {
				gate.Done()
			}
			gate.Wait()
		}
	}
	if err := a.Ready(); err == nil || !strings.Contains(err.Error(), "has not been read yet") {
		t.Errorf("ready before it has looked: %v", err)
	}
	var both sync.WaitGroup
	for _, r := range []*replica{a, b} {
		both.Go(func() { r.look(t) })
	}
	both.Wait()
	certificate, _ := a.CurrentCertKeyContent()
	if other, _ := b.CurrentCertKeyContent(); !bytes.Equal(certificate, other) {
		t.Error("they serve different certificates")
	}
	verified(t, c, external, a, b)
	puts := slices.DeleteFunc(c.written(), func(w string) bool { return w != "PUT "+secretPath })
	if len(puts) != 1 {
		t.Errorf("the Secret was written %d times", len(puts))
	}
	for _, r := range []*replica{a, b} {
		if err := r.Ready(); err != nil || r.enqueued != 1 || strings.Contains(r.log.String(), "ERROR") {
			t.Errorf("%v, %d changes, log:\n%s", err, r.enqueued, r.log)
		}
	}
}

// Hours of life of two replicas around a renewal, in the test's time: every minute both are verified.
func TestTwoReplicasRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(external)
		a, b := newReplica(t, c, external), newReplica(t, c, external)
		a.look(t)
		time.Sleep(60*day - 40*time.Minute) // the serving certificate is renewed 20 minutes before they are over
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		for _, r := range []*replica{a, b} {
			r.look(t)
			done.Go(func() { r.Run(ctx, 1) })
		}
		for range 40 {
			time.Sleep(time.Minute)
			synctest.Wait()
			verified(t, c, external, a, b)
		}
		cancel()
		done.Wait()
		certificate, _ := a.CurrentCertKeyContent()
		if other, _ := b.CurrentCertKeyContent(); a.enqueued != 2 || b.enqueued != 2 || !bytes.Equal(certificate, other) {
			t.Errorf("%d and %d certificates were served, want 2", a.enqueued, b.enqueued)
		}
	})
}

func TestTheAuthorityIsRenewedWithoutALostRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(external)
		a, b := newReplica(t, c, external), newReplica(t, c, external)
		a.look(t)
		b.look(t)
		before, _ := a.CurrentCertKeyContent()
		c.secret(t, func(data map[string][]byte) { delete(data, keyAuthorityKey) })
		a.look(t) // the new authority is told of, ...
		verified(t, c, external, a, b)
		if now, _ := a.CurrentCertKeyContent(); !bytes.Equal(now, before) {
			t.Error("the certificate was changed before the authority was told of")
		}
		time.Sleep(2 * time.Minute)
		a.look(t) // ... then one that it signed is served, while the other replica has not looked, ...
		verified(t, c, external, a, b)
		if now, _ := a.CurrentCertKeyContent(); bytes.Equal(now, before) {
			t.Error("the certificate was not changed")
		}
		b.look(t) // ... and now it has.
		verified(t, c, external, a, b)
		other, _ := b.CurrentCertKeyContent()
		if now, _ := a.CurrentCertKeyContent(); !bytes.Equal(now, other) || a.enqueued != 2 || b.enqueued != 2 {
			t.Errorf("they do not serve the same after %d and %d changes", a.enqueued, b.enqueued)
		}
	})
}

// Without the right to tell the APIServices a new authority's certificate would not be verified by anybody.
func TestAnAuthorityThatCannotBeToldIsNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(external)
		a := newReplica(t, c, external)
		a.look(t)
		a.said()
		c.secret(t, func(data map[string][]byte) { delete(data, keyAuthorityKey) })
		c.refuse["PATCH "+apiPath+external] = http.StatusForbidden
		for range 5 {
			a.look(t)
			time.Sleep(time.Hour)
		}
		verified(t, c, external, a)
		said := a.said()
		if strings.Count(said, "level=ERROR") != 1 || !strings.Contains(said, "the service account needs a ClusterRole with the verbs get and patch for it") {
			t.Errorf("it said\n%s", said)
		}
		delete(c.refuse, "PATCH "+apiPath+external)
		a.look(t)
		a.look(t)
		verified(t, c, external, a)
		if said = a.said(); !strings.Contains(said, "is kept up to date again") || a.enqueued != 2 {
			t.Errorf("after %d changes it said\n%s", a.enqueued, said)
		}
	})
}

// The API server is away for months: what there is is served, and one line says so.
func TestTheAPIServerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(external)
		a := newReplica(t, c, external)
		c.away = true
		a.look(t)
		if err := a.Ready(); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("ready: %v", err)
		}
		if now, _ := a.CurrentCertKeyContent(); !bytes.Equal(now, fallbackPair[0]) {
			t.Error("before there is a certificate something else is served than the fallback")
		}
		c.away = false
		a.look(t)
		a.said()
		before, _ := a.CurrentCertKeyContent()
		c.away = true
		for range 100 {
			time.Sleep(24 * time.Hour)
			a.look(t)
		}
		now, _ := a.CurrentCertKeyContent()
		said := a.said()
		if !bytes.Equal(now, before) || a.Ready() != nil || strings.Count(said, "\n") != 1 || !strings.Contains(said, "serving=true") {
			t.Errorf("after 100 days: %v, it said\n%s", a.Ready(), said)
		}
		if failing := testutil.ToFloat64(a.failing); failing != 1 {
			t.Errorf("failing is %g", failing)
		}
		c.away = false
		a.look(t) // it has expired
		verified(t, c, external, a)
		if failing := testutil.ToFloat64(a.failing); failing != 0 {
			t.Errorf("failing is %g", failing)
		}
		expiry := testutil.ToFloat64(a.expiry.WithLabelValues("serving"))
		if want := time.Now().Add(90 * day).Unix(); int64(expiry) != want {
			t.Errorf("expiry is told as %v, want %v", int64(expiry), want)
		}
	})
}

// The clock that counts is that of the API server, which verifies; one here that runs away changes nothing.
func TestTheClockOfThisMachineIsWrong(t *testing.T) {
	c := newCluster(external)
	c.ahead = -10 * 365 * day
	a := newReplica(t, c, external)
	a.look(t)
	verified(t, c, external, a)
	b := newReplica(t, c, external)
	c.written()
	b.look(t)
	if w := c.written(); len(w) > 0 {
		t.Errorf("it was renewed: %q", w)
	}
	c.ahead = 0 // the API server's clock was wrong and is put right
	b.look(t)
	verified(t, c, external, b)
}

func TestASecretThatCannotBeUsedSaysWhatToDo(t *testing.T) {
	const advice = "if it holds nothing that is needed, empty it: kubectl -n foresail delete secret foresail-tls && " +
		"kubectl -n foresail create secret generic foresail-tls; if its certificate is to be served, mount it"
	data := func(change func(data map[string][]byte)) func(*testing.T, *cluster) {
		return func(t *testing.T, c *cluster) { c.secret(t, change) }
	}
	refuse := func(code int) func(*testing.T, *cluster) {
		return func(_ *testing.T, c *cluster) { c.refuse["GET "+secretPath] = code }
	}
	for _, c := range []struct {
		name  string
		spoil func(*testing.T, *cluster)
		want  []string
	}{
		{
			"garbage", data(func(data map[string][]byte) { data[keyBundle] = []byte("garbage") }),
			[]string{"cannot use the Secret foresail/foresail-tls: its ca.crt is no list", advice},
		},
		{"another's", data(func(data map[string][]byte) { delete(data, keyBundle) }), []string{"it has ca.key and no ca.crt", advice}},
		{
			"missing", func(_ *testing.T, c *cluster) { delete(c.objects, secretPath) },
			[]string{"cannot read the Secret foresail/foresail-tls", "make it, empty: kubectl -n foresail create secret generic foresail-tls"},
		},
		{
			"unreadable", refuse(http.StatusForbidden),
			[]string{"the service account needs a Role in the namespace foresail with the verbs get and update for the secret foresail-tls"},
		},
		{"failing", refuse(http.StatusInternalServerError), []string{"cannot read the Secret foresail/foresail-tls: InternalError it is"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := newCluster(external)
			a, late := newReplica(t, fake, external), newReplica(t, fake, external)
			a.look(t)
			a.said()
			good, _ := a.CurrentCertKeyContent()
			c.spoil(t, fake)
			fake.written()
			for range 3 {
				a.look(t)
				late.look(t)
			}
			if w := fake.written(); len(w) > 0 {
				t.Errorf("it was written: %q", w)
			}
			for _, said := range []string{a.said(), late.said(), fmt.Sprint(late.Ready())} {
				for _, part := range c.want {
					if strings.Count(said, part) != 1 {
						t.Errorf("not once %q in\n%s", part, said)
					}
				}
			}
			if now, _ := a.CurrentCertKeyContent(); !bytes.Equal(now, good) || a.Ready() != nil {
				t.Errorf("what was served is not any more: %v", a.Ready())
			}
		})
	}
}

// Where the right to write is missing, what is in the Secret is served.
func TestASecretThatCannotBeWrittenIsServed(t *testing.T) {
	c := newCluster(external)
	newReplica(t, c, external).look(t)
	c.ahead = 61 * day // due, and still valid
	c.refuse["PUT "+secretPath] = http.StatusForbidden
	a := newReplica(t, c, external)
	a.look(t)
	verified(t, c, external, a)
	if err := a.Ready(); err != nil || !strings.Contains(a.said(), "cannot write the Secret foresail/foresail-tls") {
		t.Errorf("ready: %v", err)
	}
}

func TestAPIServicesThatPointElsewhereAreLeftAlone(t *testing.T) {
	const custom, missing = "v1beta2.custom.metrics.k8s.io", "v1beta1.metrics.k8s.io"
	c := newCluster(external, custom)
	c.objects[apiPath+custom]["spec"] = map[string]any{"insecureSkipTLSVerify": true, "service": map[string]any{"namespace": "monitoring", "name": "prometheus-adapter"}}
	a := newReplica(t, c, external, custom, missing)
	for range 3 {
		a.look(t)
	}
	verified(t, c, external, a)
	if bundle, insecure := c.spec(t, custom); len(bundle) > 0 || !insecure {
		t.Error("another's APIService was changed")
	}
	said := a.said()
	for _, part := range []string{`pointsTo="the Service monitoring/prometheus-adapter"`, `pointsTo="nothing: it does not exist"`} {
		if strings.Count(said, part) != 1 {
			t.Errorf("not once %s in\n%s", part, said)
		}
	}
	c.put(apiPath+custom, newCluster(custom).objects[apiPath+custom])
	a.look(t) // it has been taken over
	verified(t, c, custom, a)
}
