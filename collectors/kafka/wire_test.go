package kafka

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// recorded returns an answer of a real broker 4.4.0 that the fake would give in another way; `make test-kafka
// KAFKA_ARGS=-record=FILE` writes the file.
func recorded(t *testing.T, name string) kmsg.Response {
	t.Helper()
	f, err := os.Open("testdata/wire.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var answer struct {
			Name, Body   string
			Key, Version int16
		}
		if err := json.Unmarshal(lines.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		if answer.Name != name {
			continue
		}
		body, err := hex.DecodeString(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		resp := kmsg.ResponseForKey(answer.Key)
		resp.SetVersion(answer.Version)
		if err := resp.ReadFrom(body); err != nil {
			t.Fatal(err)
		}
		return resp
	}
	t.Fatalf("there is no answer %q", name)
	return nil
}

// replay makes the fake answer all requests of a kind as the real broker did.
func replay(t *testing.T, c *cluster, name string) {
	t.Helper()
	resp := recorded(t, name)
	c.ControlKey(resp.Key(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp.SetVersion(r.GetVersion())
		return resp, nil, true
	})
}

func TestRecordedUnknownGroup(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "nope", Topics: []string{"orders"}})
		c.produce("orders", 100, 0)
		replay(t, c, "commits of an unknown group")
		got, err := collect(t, s)
		wantNoLag(t, got, err, "nope", "orders", "group nope", "no such group")
	})
}

// TestRecordedOtherKind: between the list of groups and their description a group has become one of the other kind. Its lag
// is known all the same, who is in it is not.
func TestRecordedOtherKind(t *testing.T) {
	for _, tt := range []struct {
		group, answer string
		opts          []kgo.Opt
	}{
		{"next", "a KIP-848 group described as a classic one", nil},
		{"next", "a KIP-848 group described as a classic one, version 5", nil}, // as by brokers before 4.0
		{"classic", "a classic group described as a KIP-848 one", []kgo.Opt{kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer())}},
	} {
		t.Run(tt.answer, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, s := stage(t, 1, Group{Group: tt.group})
				c.produce("orders", 100, 0)
				_, leave := c.consume(tt.group, "orders", 60, tt.opts...)
				defer leave()
				replay(t, c, tt.answer)
				got, err := collect(t, s)
				noError(t, err)
				wantLag(t, got, tt.group, "orders", 40)
				wantNone(t, got, groupOf(members, tt.group), stateOf(tt.group, "stable"), groupOf(lagPerPod, tt.group))
			})
		})
	}
}

func TestRecordedUnknownShareGroup(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, s := stage(t, 1, Group{Group: "nope"})
		member := c.newClient(kgo.ShareGroup("nope"), kgo.ConsumeTopics("orders"))
		defer member.Close()
		if _, err := c.WaitGroupStable(t.Context(), "nope", 1); err != nil {
			t.Fatal(err)
		}
		replay(t, c, "offsets of an unknown share group")
		got, err := collect(t, s)
		wantNoLag(t, got, err, "nope", "orders", "group nope")
	})
}
