package kube

import (
	"maps"
	"sync"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// maxSelections bounds the selections that are kept, because anybody may ask by any selector.
const maxSelections = 10_000

// selection is what objects are chosen by.
type selection struct{ namespace, selector string }

// selections are the names of chosen objects, kept until an object of the watch comes, goes or changes its labels: many
// autoscalers read between two such changes. Reads take no lock.
type selections struct {
	version atomic.Uint64
	kept    atomic.Int64
	of      sync.Map // of selection to selected
}

// selected is a selection's names as of a version.
type selected struct {
	version uint64
	names   map[string]struct{}
}

// names returns what is kept of a selection at this version.
func (s *selections) names(by selection, version uint64) (map[string]struct{}, bool) {
	found, _ := s.of.Load(by)
	kept, is := found.(selected)
	return kept.names, is && kept.version == version
}

func (s *selections) keep(by selection, version uint64, names map[string]struct{}) {
	if _, again := s.of.Swap(by, selected{version, names}); again {
		return
	}
	if s.kept.Add(1) > maxSelections {
		s.of.Clear()
		s.kept.Store(0)
	}
}

// handler hears of changes after the informer's store has them.
func (s *selections) handler() cache.ResourceEventHandler {
	changed := func() { s.version.Add(1) }
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { changed() },
		DeleteFunc: func(any) { changed() },
		UpdateFunc: func(before, after any) {
			b, wasMeta := before.(*metav1.PartialObjectMetadata)
			a, isMeta := after.(*metav1.PartialObjectMetadata)
			// Most updates are of a status, which is not kept here.
			same := wasMeta && isMeta && maps.Equal(a.Labels, b.Labels) && a.DeletionTimestamp.Equal(b.DeletionTimestamp)
			if !same {
				changed()
			}
		},
	}
}
