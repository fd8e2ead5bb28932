package series

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"
)

func TestKeysAreThoseOfNewKey(t *testing.T) {
	var keys Keys
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var raw []RawLabel
		var labels []Label
		for range random.IntN(5) {
			// Few names, so that some come twice, and some values are empty.
			l := Label{Name: fmt.Sprint("n", random.IntN(4)), Value: []string{"", "a", "b", "ab"}[random.IntN(4)]}
			labels = append(labels, l)
			raw = append(raw, RawLabel{[]byte(l.Name), []byte(l.Value)})
		}
		metric := fmt.Sprint("m", random.IntN(3))
		if got, want := keys.Key([]byte(metric), raw), NewKey(metric, labels...); got != want {
			t.Fatalf("%v: got %v, want %v", labels, got, want)
		}
	}
}

func TestKeysShareTheirLabels(t *testing.T) {
	var keys Keys
	of := func(metric, value string) Key {
		return keys.Key([]byte(metric), []RawLabel{{[]byte("pod"), []byte(value)}})
	}
	first := of("a", "x")
	same := func(k Key) bool { return unsafe.StringData(k.labels) == unsafe.StringData(first.labels) }
	if !same(of("b", "x")) {
		t.Error("two metrics' labels are not one text")
	}
	for i := range turn {
		of("a", fmt.Sprint(i))
	}
	if !same(of("a", "x")) { // made in the generation before: it is in the new one again
		t.Error("labels are forgotten after one turn")
	}
	for i := range 2*turn + 2 {
		of("a", fmt.Sprint(i%10))
	}
	if same(of("a", "x")) {
		t.Error("labels that nobody makes are kept for two turns")
	}
	if kept := len(keys.young) + len(keys.old); kept > 30 {
		t.Errorf("%d texts are kept of the eleven that were made lately", kept)
	}
}

func TestKeysByManyAtOnce(t *testing.T) {
	var keys Keys
	var running sync.WaitGroup
	for g := range 4 {
		running.Go(func() {
			for i := range 1000 {
				value := fmt.Sprint((g + i) % 7)
				if got := keys.Key([]byte("m"), []RawLabel{{[]byte("n"), []byte(value)}}); got.Get("n") != value {
					t.Errorf("got %v, want n=%s", got, value)
				}
			}
		})
	}
	running.Wait()
}
