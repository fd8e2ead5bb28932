package oracle

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// What follows are the lines that test/oraclebackend reads and writes; its render.go says what they mean.

type request struct {
	Config string
	Exact  bool
	Reads  []read
}

type read struct {
	API             string
	Namespace       string
	Group, Resource string
	Name            string
	LabelSelector   string
	Metric          string
	MetricSelector  string

	// Version and Spelling are how the path of the request names the API's version and the resource.
	Version, Spelling string `json:"-"`
}

type answer struct {
	Refused, Broken string
	Entries         []entry
	Reads           []queries
}

type entry struct {
	API, Group, Resource, Metric string
	Namespaced                   bool
}

type queries struct {
	Exact   []string
	Names   []string
	Batched []string
	Label   []string
	Error   string
}

// renderer is the process that tells which entries and PromQL Foresail's packages make of a config.
type renderer struct {
	in      io.WriteCloser
	answers *json.Decoder
}

func startRenderer(t *testing.T, binary, kubeconfig, url string) *renderer {
	t.Helper()
	cmd := exec.Command(binary, "render", "--kubeconfig", kubeconfig, "--url", url)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start the renderer: %v", err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the renderer failed: %v", err)
		}
	})
	return &renderer{in, json.NewDecoder(out)}
}

func (r *renderer) ask(q request) (answer, error) {
	var a answer
	if err := json.NewEncoder(r.in).Encode(q); err != nil {
		return a, fmt.Errorf("cannot ask the renderer: %w", err)
	}
	if err := r.answers.Decode(&a); err != nil {
		return a, fmt.Errorf("cannot read the renderer's answer: %w", err)
	}
	return a, nil
}
