package plane

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// startEtcd returns the URL that the API server uses.
func (p *plane) startEtcd(ctx context.Context) (string, error) {
	ports, err := freePorts(2)
	if err != nil {
		return "", err
	}
	clients, peers := fmt.Sprintf("http://127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	err = p.launch("etcd",
		"--name=plane", "--data-dir="+p.path("etcd"), "--log-level=warn", "--unsafe-no-fsync", // The data is thrown away.
		"--listen-client-urls="+clients, "--advertise-client-urls="+clients,
		"--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=plane="+peers)
	if err != nil {
		return "", err
	}
	return clients, p.await(ctx, "etcd", func(ctx context.Context) error { return p.client.healthy(ctx, clients+"/health", "") })
}

// startAPIServer also writes the kubeconfigs, for only now is the server's port known.
func (p *plane) startAPIServer(ctx context.Context, etcd string) error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	p.server = fmt.Sprintf("https://127.0.0.1:%d", ports[0])
	for name, user := range map[string]*identity{"admin": p.keys.admin, "controller-manager": p.keys.manager, "foresail": p.keys.foresail} {
		if err := writeKubeconfig(p.path(name+".kubeconfig"), p.server, p.keys.ca, user); err != nil {
			return err
		}
	}
	p.kubectl = kubectl{binary: filepath.Join(p.Bin, "kubectl"), kubeconfig: p.path("admin.kubeconfig"), home: p.Dir}
	err = p.launch("kube-apiserver",
		"--etcd-servers="+etcd, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[0]),
		// Nobody uses the Service kubernetes/default; without this a machine with no default route could not start.
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=RBAC",
		"--client-ca-file="+p.keys.ca.certFile, "--tls-cert-file="+p.keys.apiserver.certFile, "--tls-private-key-file="+p.keys.apiserver.keyFile,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+p.keys.file("sa.pub"), "--service-account-signing-key-file="+p.keys.file("sa.key"),
		// The aggregator's way of telling an aggregated server who asks.
		"--requestheader-client-ca-file="+p.keys.frontProxy.certFile, "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file="+p.keys.proxyClient.certFile, "--proxy-client-key-file="+p.keys.proxyClient.keyFile,
		// Otherwise a pod waits for its namespace's service account, which no pod here uses.
		"--disable-admission-plugins=ServiceAccount",
		"--max-requests-inflight=4000", "--profiling=false", "--feature-gates="+p.FeatureGates)
	if err != nil {
		return err
	}
	return p.await(ctx, "the API server", func(ctx context.Context) error { return p.client.healthy(ctx, p.server+"/readyz", "") })
}

// startManager returns the URL of the controller manager's own server.
func (p *plane) startManager() (string, error) {
	ports, err := freePorts(1)
	if err != nil {
		return "", err
	}
	config := p.path("controller-manager.kubeconfig")
	return fmt.Sprintf("https://127.0.0.1:%d", ports[0]), p.launch("kube-controller-manager",
		"--kubeconfig="+config, "--authentication-kubeconfig="+config, "--authorization-kubeconfig="+config,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[0]),
		"--tls-cert-file="+p.keys.apiserver.certFile, "--tls-private-key-file="+p.keys.apiserver.keyFile,
		"--service-account-private-key-file="+p.keys.file("sa.key"), "--root-ca-file="+p.keys.ca.certFile,
		// Each controller has its own identity and RBAC role, as in a real cluster: the HPA's is what reads metrics.
		"--use-service-account-credentials=true",
		"--leader-elect=false", "--profiling=false", "--kube-api-qps=500", "--kube-api-burst=1000",
		"--controllers="+controllers(),
		"--horizontal-pod-autoscaler-sync-period="+p.HPASync.String(),
		"--horizontal-pod-autoscaler-downscale-stabilization="+p.HPADownscaleStabilization.String(),
		"--horizontal-pod-autoscaler-initial-readiness-delay=1s", "--concurrent-horizontal-pod-autoscaler-syncs=10",
		"--feature-gates="+p.FeatureGates)
}

// controllers is all that are on by default, without those that would do harm or nothing here: on a machine too busy for
// kwok's heartbeats the node controllers would evict pods, and there are no volumes.
func controllers() string {
	return "*," + strings.Join([]string{
		"-node-lifecycle-controller", "-taint-eviction-controller", "-device-taint-eviction-controller",
		"-persistentvolume-binder-controller", "-persistentvolume-attach-detach-controller", "-persistentvolume-expander-controller",
		"-persistentvolume-protection-controller", "-persistentvolumeclaim-protection-controller",
		"-ephemeral-volume-controller", "-resourceclaim-controller",
	}, ",")
}

func (p *plane) startKwok() error {
	return p.launch("kwok", "--kubeconfig="+p.path("admin.kubeconfig"), "--config="+p.path("stages.yaml"),
		"--manage-all-nodes=true", "--node-ip=127.0.0.1", "--server-address=")
}

// freePorts finds n loopback ports that nobody listens on. All are held until all are found, so that they differ; call it
// right before the process that takes them starts.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("cannot find a free port: %w", err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
