package readers

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

var now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestBook(t *testing.T) {
	var b Book
	hpa := Read{Namespace: "shop", Metric: "load", Selector: "queue=a", User: "system:serviceaccount:kube-system:horizontal-pod-autoscaler"}
	other := Read{Namespace: "bank", Metric: "load", User: "kate"}
	b.Note(hpa, now.Add(-30*time.Second), errors.New("away"))
	b.Note(hpa, now.Add(-15*time.Second), nil)
	b.Note(other, now.Add(-2*time.Hour), nil)
	list, unkept := b.List(now)
	if len(list) != 1 || unkept != 0 || list[0].Read != hpa || list[0].Count != 2 || list[0].Problem != "" || !list[0].Last.Equal(now.Add(-15*time.Second)) {
		t.Errorf("%d left out, %+v", unkept, list)
	}
	b.Note(other, now, errors.New("not served"))
	if list, _ = b.List(now); len(list) != 2 || list[0].Namespace != "bank" || list[0].Problem != "not served" || list[0].Count != 2 {
		t.Errorf("%+v", list)
	}
}

// What is remembered is bounded, whoever asks for whatever; those who went away make room.
func TestBookIsBounded(t *testing.T) {
	var b Book
	for i := range most {
		b.Note(Read{Metric: fmt.Sprintf("m%d", i)}, now, nil)
	}
	b.Note(Read{Metric: "one more"}, now.Add(time.Minute), nil)
	if list, unkept := b.List(now.Add(time.Minute)); len(list) != most || unkept != 1 {
		t.Errorf("%d readers, %d reads left out; want %d and 1", len(list), unkept, most)
	}
	later := now.Add(2 * time.Hour)
	b.Note(Read{Metric: strings.Repeat("x", 1<<20)}, later, nil)
	list, _ := b.List(later)
	if len(list) != 1 || len(list[0].Metric) > longest+3 {
		t.Errorf("%d readers", len(list))
	}
}

func TestBookAtOnce(t *testing.T) {
	var b Book
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 100 {
				b.Note(Read{Metric: fmt.Sprint(i % 10)}, now, nil)
				b.List(now)
			}
		})
	}
	all.Wait()
	list, _ := b.List(now)
	for _, r := range list {
		if r.Count != 80 {
			t.Errorf("%s was read %d times, want 80", r.Metric, r.Count)
		}
	}
	if len(list) != 10 {
		t.Errorf("%d readers, want 10", len(list))
	}
}

// What autoscalers ask for is found by a read of theirs, however it was noted.
func TestAsk(t *testing.T) {
	long := strings.Repeat("x", 2*longest)
	noted := Read{Namespace: "shop", Metric: "Load", Resource: "pods", Objects: "app=web", Selector: long, User: "kate"}
	var b Book
	b.Note(noted, now, nil)
	list, _ := b.List(now)
	want := Read{Namespace: "shop", Metric: "load", Resource: "pods", Selector: long[:longest] + "..."}
	if list[0].Ask() != want || noted.Ask() != want || want.Ask() != want {
		t.Errorf("%+v, %+v", list[0].Ask(), noted.Ask())
	}
}
