package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/snapshot"
)

// learnt is what series had learnt from five weeks, by metric and template, as the binary saved it.
type learnt struct {
	kind   string
	states map[string][]byte
}

func stateName(of string, pod int) string { return of + " " + strconv.Itoa(pod) }

// readSnapshot reads what the binary has saved.
func readSnapshot(path string) (*learnt, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	l := &learnt{kind: string(data[:bytes.IndexByte(data, '\n')+1]), states: map[string][]byte{}}
	var mu sync.Mutex
	return l, snapshot.Read(bytes.NewReader(data), l.kind, func(record []byte) {
		c := snapshot.Reader(record)
		name, pod := head(c)
		of := inflight
		if strings.HasPrefix(name, "requests") {
			of = requests
		}
		mu.Lock()
		defer mu.Unlock()
		l.states[stateName(of, pod)] = bytes.Clone(c.Bytes())
	})
}

// head reads what stands before the state of a series.
func head(c *snapshot.Codec) (metric string, pod int) {
	var source string
	c.Text(&metric)
	c.Text(&source)
	for range c.Length(0, 10) {
		var l series.Label
		c.Text(&l.Name)
		c.Text(&l.Value)
		if l.Name == "pod" {
			pod, _ = strconv.Atoi(strings.TrimPrefix(l.Value, "pod-")) // The bench's own names.
		}
	}
	return metric, pod
}

// write makes a snapshot of many pods, each of which has learnt what the pod with its load has.
func (l *learnt) write(path string, pods int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	out, err := snapshot.NewFile(f, l.kind)
	problems := []error{err}
	for pod := range pods {
		for _, of := range []string{requests, inflight} {
			like := stateName(of, pod%(len(l.states)/2))
			state := l.states[like]
			if state == nil {
				return errors.Join(fmt.Errorf("nothing was learnt of %s", like), f.Close())
			}
			problems = append(problems, out.Add(record(of, pod, state)))
		}
	}
	return errors.Join(append(problems, out.End(), f.Close())...)
}

func record(of string, pod int, state []byte) []byte {
	namespace := pod / podsEach
	c := snapshot.Writer(nil)
	name, source := metric(of, namespace), config.StoreBackend+"\n"+query(of, namespace)
	c.Text(&name)
	c.Text(&source)
	labels := []string{"namespace", namespaceName(namespace), "pod", podName(pod)}
	c.Length(len(labels)/2, len(labels))
	for i := range labels {
		c.Text(&labels[i])
	}
	return append(c.Bytes(), state...)
}
