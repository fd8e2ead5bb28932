package certs

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// APIServices is the resource that tells an API server where an API group is served.
func APIServices() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
}

// ServiceOf returns the Service that an APIService points to, and the zero name if it points to none.
func ServiceOf(api *unstructured.Unstructured) types.NamespacedName {
	namespace, _, _ := unstructured.NestedString(api.Object, "spec", "service", "namespace")
	name, _, _ := unstructured.NestedString(api.Object, "spec", "service", "name")
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// tell writes the bundle into each APIService that points to the Service and has another. No error means that all of them
// have it, and that they verify.
func (k *Keeper) tell(ctx context.Context, bundle []byte) error {
	if len(bundle) == 0 {
		return nil
	}
	var errs []error
	for _, name := range k.opts.APIServices {
		err := k.tellOne(ctx, name, bundle)
		switch {
		case apierrors.IsConflict(err):
			return err // it is tried again at once
		case apierrors.IsForbidden(err):
			errs = append(errs, fmt.Errorf("cannot write the authorities into the APIService %s: %w; the service account needs a ClusterRole with the verbs "+
				"get and patch for it, or another --tls-apiservices", name, err))
		case err != nil:
			errs = append(errs, fmt.Errorf("cannot write the authorities into the APIService %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (k *Keeper) tellOne(ctx context.Context, name string, bundle []byte) error {
	apis := k.apis.Resource(APIServices())
	api, err := apis.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		k.meet(name, "nothing: it does not exist")
		return nil
	}
	if err != nil {
		return err
	}
	if service := ServiceOf(api); service != k.opts.Service {
		k.meet(name, "the Service "+service.String())
		return nil
	}
	k.meet(name, "")
	told, _, _ := unstructured.NestedString(api.Object, "spec", "caBundle")
	unverified, _, _ := unstructured.NestedBool(api.Object, "spec", "insecureSkipTLSVerify")
	if had, err := base64.StdEncoding.DecodeString(told); err == nil && bytes.Equal(had, bundle) && !unverified {
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": api.GetResourceVersion()},
		"spec":     map[string]any{"caBundle": bundle, "insecureSkipTLSVerify": nil},
	})
	if err != nil {
		return err
	}
	if _, err := apis.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "foresail"}); err != nil {
		return err
	}
	k.opts.Logger.Info("told an APIService the authorities that it verifies by", "apiService", name)
	return nil
}

// meet tells once of an APIService that points elsewhere.
func (k *Keeper) meet(name, target string) {
	if target != "" && k.strangers[name] != target {
		k.opts.Logger.Info("left an APIService alone that points elsewhere", "apiService", name, "pointsTo", target, "service", k.opts.Service.String())
	}
	k.strangers[name] = target
}
