package address

import "testing"

func TestValid(t *testing.T) {
	for s, want := range map[string]bool{
		"kafka:9092": true, "10.0.0.7:1": true, "[2001:db8::1]:65535": true,
		"kafka": false, "kafka:": false, ":9092": false, "kafka:0": false, "kafka:65536": false, "kafka:http": false, "2001:db8::1:9092": false, "": false,
	} {
		if Valid(s) != want {
			t.Errorf("%q: %v, want %v", s, !want, want)
		}
	}
}
