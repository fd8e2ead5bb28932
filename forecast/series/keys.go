package series

import (
	"bytes"
	"sync"
)

// RawLabel is a label as a decoder finds it.
type RawLabel struct {
	Name, Value []byte
}

// Keys makes keys that share the memory of their labels with each other: the queries of many rules return the same
// labels, and those of one rule do so again and again. Labels that were not made for a while are forgotten. The zero
// Keys is ready for use, also by several goroutines.
type Keys struct {
	mu         sync.Mutex
	made       int // since young was the only one of its strings
	young, old map[string]string
	scratch    []byte
}

// turn is after how many keys those texts are forgotten that were not made since the turn before. It bounds the texts
// that are kept to twice as many.
const turn = 1 << 18

// Key is NewKey, of names and values that are copied. It sorts the labels.
func (k *Keys) Key(metric []byte, labels []RawLabel) Key {
	for i := 1; i < len(labels); i++ { // few, and mostly sorted; stable
		for j := i; j > 0 && bytes.Compare(labels[j-1].Name, labels[j].Name) > 0; j-- {
			labels[j-1], labels[j] = labels[j], labels[j-1]
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.made++; k.made > turn || k.young == nil {
		k.made, k.young, k.old = 0, make(map[string]string), k.young
	}
	text := k.scratch[:0]
	for i, l := range labels {
		if len(l.Value) == 0 || i+1 < len(labels) && bytes.Equal(labels[i+1].Name, l.Name) {
			continue
		}
		text = append(append(text, l.Name...), separator...)
		text = append(append(text, l.Value...), separator...)
	}
	k.scratch = text
	return Key{Metric: k.shared(metric), labels: k.shared(text)}
}

// shared returns the text as the string that was made of it before.
func (k *Keys) shared(text []byte) string {
	if s, known := k.young[string(text)]; known {
		return s
	}
	s, known := k.old[string(text)]
	if !known {
		s = string(text)
	}
	k.young[s] = s
	return s
}
