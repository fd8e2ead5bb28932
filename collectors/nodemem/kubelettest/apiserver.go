package kubelettest

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

// APIServer answers as a cluster's API server does for nodes, pods and metrics.k8s.io nodes: lists, and watches that
// tell what Add sends. It is as servers before 1.32 are, which cannot begin a watch with a list.
type APIServer struct {
	mu       sync.Mutex
	nodes    []corev1.Node
	pods     []corev1.Pod
	metrics  func(http.ResponseWriter, *http.Request)
	code     int
	selector string
	added    chan corev1.Pod
	hangup   chan struct{} // closed to end the watches
}

// NewAPIServer returns a server of these objects.
func NewAPIServer(nodes []corev1.Node, pods []corev1.Pod) *APIServer {
	return &APIServer{nodes: nodes, pods: pods, metrics: http.NotFound, added: make(chan corev1.Pod), hangup: make(chan struct{})}
}

// Metrics sets what answers for metrics.k8s.io.
func (s *APIServer) Metrics(answer func(http.ResponseWriter, *http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metrics = answer
}

// Fail has every answer be an error with this status code.
func (s *APIServer) Fail(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code = code
}

// Add tells a watch of a pod, and waits for one.
func (s *APIServer) Add(p corev1.Pod) { s.added <- p }

// Hangup ends all watches.
func (s *APIServer) Hangup() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.hangup)
	s.hangup = make(chan struct{})
}

// PodSelector returns the field selector by which pods were asked for.
func (s *APIServer) PodSelector() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.selector
}

// ServeHTTP answers.
func (s *APIServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ofPods := strings.HasSuffix(r.URL.Path, "/pods")
	s.mu.Lock()
	code, metrics, nodes, pods, hangup := s.code, s.metrics, s.nodes, s.pods, s.hangup
	if ofPods {
		s.selector = r.URL.Query().Get("fieldSelector")
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	first := metav1.ListMeta{ResourceVersion: "1"}
	switch query := r.URL.Query(); {
	case code != 0:
		refuse(w, code, map[int]metav1.StatusReason{http.StatusForbidden: metav1.StatusReasonForbidden}[code])
	case query.Get("sendInitialEvents") != "":
		refuse(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
	case query.Get("watch") != "":
		s.watch(w, r, ofPods, hangup)
	case strings.HasPrefix(r.URL.Path, "/apis/metrics.k8s.io/"):
		metrics(w, r)
	case ofPods:
		_ = json.NewEncoder(w).Encode(corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, ListMeta: first, Items: pods})
	default:
		_ = json.NewEncoder(w).Encode(corev1.NodeList{TypeMeta: metav1.TypeMeta{Kind: "NodeList", APIVersion: "v1"}, ListMeta: first, Items: nodes})
	}
}

func refuse(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: "refused",
	})
}

// watch tells of pods that are added until the client goes or is hung up on.
func (s *APIServer) watch(w http.ResponseWriter, r *http.Request, ofPods bool, hangup <-chan struct{}) {
	added := s.added
	if !ofPods {
		added = nil
	}
	flush := http.NewResponseController(w).Flush
	for err := flush(); err == nil; err = flush() {
		select {
		case p := <-added:
			p.TypeMeta = metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}
			_ = json.NewEncoder(w).Encode(map[string]any{"type": "ADDED", "object": p})
		case <-hangup:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// WriteMetrics answers with metrics of nodes.
func WriteMetrics(w http.ResponseWriter, items ...v1beta1.NodeMetrics) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v1beta1.NodeMetricsList{TypeMeta: metav1.TypeMeta{Kind: "NodeMetricsList", APIVersion: "metrics.k8s.io/v1beta1"}, Items: items})
}
