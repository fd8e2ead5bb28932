package takeover

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	certutil "k8s.io/client-go/util/cert"

	"github.com/foresail/foresail/cmd/foresail/app/mistake"
)

// change is an APIService before and after; nil is for none.
type change struct {
	name      string
	priority  int64 // of one that is made
	old, next *unstructured.Unstructured
}

// take points an APIService to the Service. Trust is its caBundle; without it nothing is verified.
func take(a change, service types.NamespacedName, port int, trust []byte) (change, error) {
	var before any
	if a.old != nil {
		before, a.next = a.old.Object["spec"], a.old.DeepCopy()
	} else {
		version, group, _ := strings.Cut(a.name, ".")
		a.next = &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": a.name},
			"spec": map[string]any{"group": group, "version": version, "groupPriorityMinimum": int64(100), "versionPriority": a.priority},
		}}
	}
	kept, err := marshal(before)
	if err != nil {
		return a, err
	}
	annotations := maps.Clone(a.next.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[annotation] = kept
	a.next.SetAnnotations(annotations)
	spec, ok := a.next.Object["spec"].(map[string]any)
	if !ok {
		return a, fmt.Errorf("cannot switch the APIService %s: it has no spec", a.name)
	}
	spec["service"] = map[string]any{"namespace": service.Namespace, "name": service.Name, "port": int64(port)}
	delete(spec, "caBundle")
	delete(spec, "insecureSkipTLSVerify")
	if len(trust) > 0 {
		spec["caBundle"] = base64.StdEncoding.EncodeToString(trust)
	} else {
		spec["insecureSkipTLSVerify"] = true
	}
	return a, nil
}

// back is what take has changed, as it was.
func back(a change) (change, error) {
	var spec map[string]any
	if err := json.Unmarshal([]byte(a.old.GetAnnotations()[annotation]), &spec); err != nil {
		return a, fmt.Errorf("cannot roll the APIService %s back: its annotation %s is not what foresail takeover has written: %w", a.name, annotation, err)
	}
	if spec == nil {
		return a, nil // it was made
	}
	a.next = a.old.DeepCopy()
	annotations := a.next.GetAnnotations()
	delete(annotations, annotation)
	a.next.SetAnnotations(annotations)
	a.next.Object["spec"] = spec
	return a, nil
}

// diff tells the change of the spec, line by line.
func (c change) diff() string {
	var text strings.Builder
	switch {
	case c.old == nil:
		fmt.Fprintf(&text, "%s (does not exist)\n", c.name)
	case c.next == nil:
		fmt.Fprintf(&text, "%s (is deleted: it did not exist before)\n", c.name)
	default:
		fmt.Fprintf(&text, "%s\n", c.name)
	}
	before, after := lines(c.old), lines(c.next)
	keys := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		was, had := before[key]
		is, has := after[key]
		if had && has && was == is {
			continue
		}
		if had {
			fmt.Fprintf(&text, "- %s: %s\n", key, was)
		}
		if has {
			fmt.Fprintf(&text, "+ %s: %s\n", key, is)
		}
	}
	return text.String()
}

// lines are the fields of a spec.
func lines(api *unstructured.Unstructured) map[string]string {
	if api == nil {
		return nil
	}
	spec, _ := api.Object["spec"].(map[string]any)
	fields := map[string]string{}
	for key, value := range spec {
		fields[key] = fmt.Sprint(value)
		if nested, ok := value.(map[string]any); ok && key == "service" {
			fields[key] = fmt.Sprintf("%v/%v, port %v", nested["namespace"], nested["name"], nested["port"])
		}
		if key == "caBundle" {
			fields[key] = fmt.Sprintf("%d characters, sha256 %.12x", len(fields[key]), sha256.Sum256([]byte(fields[key])))
		}
	}
	return fields
}

// trust returns the authorities that Foresail is verified by; nothing where it is not to be verified.
func (r *run) trust(ctx context.Context) ([]byte, error) {
	if r.Unverified {
		return nil, nil
	}
	if r.CAFile != "" {
		bundle, err := os.ReadFile(r.CAFile)
		if err != nil {
			return nil, mistake.Error{Err: fmt.Errorf("cannot read --ca-file: %w", err)}
		}
		return bundle, authorities("--ca-file", bundle)
	}
	const instead = "name the authorities with --ca-file FILE, or have nothing verified with --insecure-service"
	name := r.Secret
	if name == "" {
		name = r.service.Namespace + "/foresail-tls"
	}
	namespace, name, _ := strings.Cut(name, "/")
	secret, err := r.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, mistake.Error{Err: fmt.Errorf("cannot tell how Foresail is to be verified: cannot read the Secret %s/%s: %w; %s", namespace, name, err, instead)}
	}
	if len(secret.Data["ca.crt"]) == 0 {
		return nil, mistake.Error{Err: fmt.Errorf("cannot tell how Foresail is to be verified: the Secret %s/%s has no ca.crt: does foresail run with --tls-secret? Otherwise %s", namespace, name, instead)}
	}
	return secret.Data["ca.crt"], authorities("the Secret "+namespace+"/"+name, secret.Data["ca.crt"])
}

func authorities(where string, bundle []byte) error {
	if _, err := certutil.ParseCertsPEM(bundle); err != nil {
		return mistake.Error{Err: fmt.Errorf("%s holds no certificates in PEM: %w", where, err)}
	}
	return nil
}

// marshal is JSON as kept in the annotation.
func marshal(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("cannot write down what was there: %w", err)
	}
	return string(text), nil
}
