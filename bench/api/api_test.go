package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestBackendAnswersWhatIsAsked(t *testing.T) {
	pods := []pod{{"shop", "a"}, {"shop", "b"}, {"other", "c"}}
	for query, want := range map[string]string{
		`sum(pods_3{namespace="shop",pod=~"a|b"}) by (pod)`: `{"pod":"a"} {"pod":"b"}`,
		`sum(pods_3) by (namespace, pod)`:                   `{"namespace":"shop","pod":"a"} {"namespace":"shop","pod":"b"} {"namespace":"other","pod":"c"}`,
		`sum(external_0{namespace="shop"})`:                 `{}`,
		`sum(pods_3{namespace="none"}) by (pod)`:            ``,
	} {
		var a struct {
			Status string
			Data   struct {
				Result []struct {
					Metric json.RawMessage
					Value  [2]any
				}
			}
		}
		if err := json.Unmarshal(answer(query, pods, time.Now()), &a); err != nil || a.Status != "success" {
			t.Fatalf("%s: %v, status %q", query, err, a.Status)
		}
		var got []string
		for _, r := range a.Data.Result {
			got = append(got, string(r.Metric))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s is answered with %s, want %s", query, got, want)
		}
	}
}

func TestBackendTellsQueriesThatNoScheduleAsked(t *testing.T) {
	b := newBackend()
	defer b.Close()
	ask := func(query string) {
		resp, err := http.PostForm(b.URL+"/api/v1/query", url.Values{"query": {query}})
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	ask("pods_0")
	began := time.Now()
	ask("pods_0") // sooner than half of an hour after the one before
	ask("pods_1") // a query that is new is one that a read has caused
	if taken, distinct, extra := b.taken(began), b.distinct(began), b.extra(began, time.Hour); taken != 2 || distinct != 2 || extra != 2 {
		t.Errorf("%d queries, %d different ones, %d extra; want 2 of each", taken, distinct, extra)
	}
	if extra := b.extra(began, 0); extra != 1 {
		t.Errorf("%d queries are extra where any distance is by schedule, want the new one", extra)
	}
}

func TestStatusesTellTheLongestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &statuses{of: make(map[string]*status)}
		tell := func(name, value string) {
			quantity := resource.MustParse(value)
			s.note(&autoscalingv2.HorizontalPodAutoscaler{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Status: autoscalingv2.HorizontalPodAutoscalerStatus{
					Conditions: []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: autoscalingv2.ScalingActive, Status: corev1.ConditionTrue}},
					CurrentMetrics: []autoscalingv2.MetricStatus{{External: &autoscalingv2.ExternalMetricStatus{
						Current: autoscalingv2.MetricValueStatus{AverageValue: &quantity},
					}}},
				},
			}, time.Now())
		}
		tell("a", "1")
		tell("b", "1")
		began := time.Now()
		time.Sleep(4 * time.Second)
		tell("a", "2")
		tell("b", "1") // the same value: it may be that of a read before
		time.Sleep(3 * time.Second)
		tell("a", "3")
		// a waited for 4 s and 3 s; b for all 7 s, in vain.
		if longest, unserved := s.since(began); longest != 7*time.Second || unserved != 1 {
			t.Errorf("the longest wait is %v and %d are not served, want 7s and 1", longest, unserved)
		}
		if err := s.served(3); err == nil || !strings.Contains(err.Error(), "2 of 3") {
			t.Errorf("of three autoscalers: %v, want 2 of 3", err)
		}
	})
}
