package main

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/foresail/foresail/bench/loads"
	"github.com/foresail/foresail/forecast/frontier"
	"github.com/foresail/foresail/forecast/replay"
)

// trial has so many pods on both halves, and so many short minutes on the second.
func trial(kind frontier.Kind, pods float64, short int) frontier.Trial {
	return frontier.Trial{
		Setting: frontier.Setting{Kind: kind, Target: .7}, First: replay.Outcome{Days: 7, MeanPods: pods},
		Days: []replay.Outcome{{Days: 7, MeanPods: pods, ShortMinutes: short}},
	}
}

// Each figure that is missed is named. The second load's forecast was cheaper on the first half and dearer on the second, and short for 3 minutes a
// day: the means are sqrt(.8 * 1.1) = .938.
func TestMisses(t *testing.T) {
	o := objective{slo: 1, wanted: .9}
	dearer := trial(frontier.Foresail, 90, 21)
	dearer.Days[0].MeanPods = 110
	trials := [][]frontier.Trial{
		{trial(frontier.Reactive, 100, 0), trial(frontier.Foresail, 80, 0), trial(frontier.Perfect, 50, 0)},
		{trial(frontier.Reactive, 100, 0), dearer},
	}
	var out strings.Builder
	missed, err := o.judge(&out, []loads.Load{{Name: "good"}, {Name: "bad"}}, trials)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(missed, "\n")
	for _, want := range []string{"bad costs 1.100 of reactive", "mean pods are 0.938 of reactive, at most 0.9", "kept within twice on 1 loads, reactive on 2"} {
		if !strings.Contains(got, want) {
			t.Errorf("not named: %s, in\n%s", want, got)
		}
	}
	if len(missed) != 3 || !strings.Contains(out.String(), "0.500") {
		t.Errorf("%s\n%s", got, &out)
	}
	if missed, err := o.judge(io.Discard, []loads.Load{{Name: "good"}}, trials[:1]); err != nil || len(missed) > 0 {
		t.Errorf("%v, %v", missed, err)
	}
	if _, err := run(context.Background(), t.TempDir(), io.Discard); err == nil {
		t.Error("no loads are no error")
	}
	if _, err := nodesAhead(context.Background(), t.TempDir(), io.Discard); err == nil {
		t.Error("no loads are no error with nodes")
	}
}
