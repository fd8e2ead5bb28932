// Package kubeconfig reaches a cluster as kubectl does.
package kubeconfig

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// apiTimeout bounds one request to a cluster.
const apiTimeout = 15 * time.Second

// Load returns how to reach the cluster of a context, "" being the current one, of a kubeconfig file, "" being those of kubectl; and the
// context's namespace. An error is one line.
func Load(file, context string) (config *rest.Config, namespace string, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = file
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
	if config, err = loader.ClientConfig(); err != nil {
		return nil, "", fmt.Errorf("cannot use the kubeconfig: %s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	if namespace, _, err = loader.Namespace(); err != nil {
		return nil, "", fmt.Errorf("cannot use the kubeconfig: %w", err)
	}
	config.UserAgent, config.Timeout = "foresail", apiTimeout
	return config, namespace, nil
}
