package kube

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestChangesOfObjectsReachTheNextRead(t *testing.T) {
	c := newCluster(t)
	web := map[string]string{"app": "web"}
	c.objects["/api/v1/pods"] = []map[string]any{object("shop", "a", web), object("shop", "b", web)}
	o := start(t, c, Pods)
	within := func(want string) {
		t.Helper()
		var got string
		for range 200 {
			if got = names(t, o, Pods, "shop", "app=web"); got == want {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("got %s for two seconds, want %s", got, want)
	}
	before := names(t, o, Pods, "shop", "app=web")
	c.events <- map[string]any{"type": "ADDED", "object": object("shop", "c", web)}
	within(before + " c")
	c.events <- map[string]any{"type": "MODIFIED", "object": object("shop", "b", map[string]string{"app": "other"})}
	within("a c")
	c.events <- map[string]any{"type": "MODIFIED", "object": object("shop", "a", web, "deletionTimestamp")}
	within("c")
	c.events <- map[string]any{"type": "DELETED", "object": object("shop", "c", web)}
	within("")
}

func TestSelectionsAreKeptForTheirVersionOnly(t *testing.T) {
	var s selections
	by, names := selection{"shop", "app=web"}, map[string]struct{}{"a": {}}
	if _, known := s.names(by, 0); known {
		t.Error("a selection is known that was never read")
	}
	s.keep(by, 1, names)
	if got, known := s.names(by, 1); !known || len(got) != 1 {
		t.Errorf("got %v, %v, want what was kept", got, known)
	}
	if _, known := s.names(by, 2); known {
		t.Error("a selection outlives the objects that it was of")
	}
	pod := func(app, version string) any {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: "a", Namespace: "shop", Labels: map[string]string{"app": app}, ResourceVersion: version,
		}}
	}
	h := s.handler()
	h.OnUpdate(pod("web", "1"), pod("web", "2"))
	if v := s.version.Load(); v != 0 {
		t.Errorf("a change of a status makes version %d", v)
	}
	h.OnUpdate(pod("web", "2"), pod("api", "3"))
	if v := s.version.Load(); v != 1 {
		t.Errorf("a change of a label makes version %d, want 1", v)
	}
	for i := range maxSelections + 1 {
		s.keep(selection{"shop", fmt.Sprint("app=", i)}, 1, names)
	}
	n := 0
	s.of.Range(func(any, any) bool { n++; return true })
	if n > maxSelections {
		t.Errorf("%d selections are kept", n)
	}
}
