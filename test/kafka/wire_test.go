package kafka

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

var record = flag.String("record", "", "file for the broker's answers to what the fake broker of the unit tests answers otherwise")

// wireAnswer is one answer as it came over the wire, without the header.
type wireAnswer struct {
	Key, Version int16
	Body         string // hexadecimal
}

// wire asks what brokers of franz-go's kfake answer in another way, and records the answers where asked to: collectors/kafka
// replays them.
func (l *lab) wire(t *testing.T) {
	fetch := kmsg.NewPtrOffsetFetchRequest()
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = "nope"
	fetch.Groups = append(fetch.Groups, group)
	classic := kmsg.NewPtrDescribeGroupsRequest()
	classic.Groups = []string{"next"}
	next := kmsg.NewPtrConsumerGroupDescribeRequest()
	next.Groups = []string{"classic"}
	share := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	shareGroup := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
	shareGroup.GroupID = "nope"
	share.Groups = append(share.Groups, shareGroup)

	old := l.newClient(t, kgo.MaxVersions(kversion.V3_7_0()))

	const notFound = 69 // GROUP_ID_NOT_FOUND
	answers := make(map[string]wireAnswer)
	for name, req := range map[string]kmsg.Request{
		"commits of an unknown group": fetch, "a KIP-848 group described as a classic one": classic,
		"a KIP-848 group described as a classic one, version 5": classic, "a classic group described as a KIP-848 one": next,
		"offsets of an unknown share group": share,
	} {
		client, code := l.client, int16(notFound)
		if strings.HasSuffix(name, "version 5") {
			client, code = old, 0
		}
		resp, err := client.Request(t.Context(), req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		switch r := resp.(type) {
		case *kmsg.OffsetFetchResponse:
			if len(r.Groups) != 1 || r.Groups[0].ErrorCode != 0 || len(r.Groups[0].Topics) > 0 {
				t.Errorf("%s: %+v, want nothing and no error", name, r.Groups)
			}
		case *kmsg.DescribeGroupsResponse:
			if len(r.Groups) != 1 || r.Groups[0].ErrorCode != code || r.Groups[0].State != "Dead" {
				t.Errorf("%s: %+v, want Dead and the error %d", name, r.Groups, code)
			}
		case *kmsg.ConsumerGroupDescribeResponse:
			if len(r.Groups) != 1 || r.Groups[0].ErrorCode != notFound {
				t.Errorf("%s: %+v, want GROUP_ID_NOT_FOUND", name, r.Groups)
			}
		case *kmsg.DescribeShareGroupOffsetsResponse:
			if len(r.Groups) != 1 || r.Groups[0].ErrorCode != 0 || len(r.Groups[0].Topics) > 0 {
				t.Errorf("%s: %+v, want nothing and no error", name, r.Groups)
			}
		}
		answers[name] = wireAnswer{resp.Key(), resp.GetVersion(), hex.EncodeToString(resp.AppendTo(nil))}
	}
	if *record == "" {
		return
	}
	var text []byte
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		line, err := json.Marshal(map[string]any{"name": name, "key": answers[name].Key, "version": answers[name].Version, "body": answers[name].Body})
		if err != nil {
			t.Fatal(err)
		}
		text = append(append(text, line...), '\n')
	}
	writeFile(t, filepath.Clean(*record), text)
}
