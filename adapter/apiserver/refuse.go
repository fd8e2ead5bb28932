package apiserver

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	cmapiserver "sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver"
)

// refuse answers requests whose query or selectors cannot be read, before the libraries do: those pass over a pair that is
// broken, so that a selector with a slip would choose everything, or call it an error of the server.
func refuse(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := readable(r.URL.RawQuery); err != nil {
			responsewriters.ErrorNegotiated(apierrors.NewBadRequest(err.Error()), cmapiserver.Codecs, schema.GroupVersion{Version: "v1"}, w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readable says what is wrong with a query, if anything is.
func readable(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("cannot read the query of the request: %w", err)
	}
	for _, key := range []string{"labelSelector", "metricLabelSelector"} {
		for _, text := range values[key] {
			if strings.ContainsRune(text, 0) { // where the library's parser stops
				return fmt.Errorf("cannot read %s: it has a zero byte", key)
			}
			if _, err := labels.Parse(text); err != nil {
				return fmt.Errorf("cannot read %s: %w", key, err)
			}
		}
	}
	return nil
}
