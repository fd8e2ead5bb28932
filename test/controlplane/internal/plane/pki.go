package plane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// lifetime of every key of a plane: longer than anybody leaves one running.
const lifetime = 30 * 24 * time.Hour

// identity is a certificate with its key, as parsed and as PEM.
type identity struct {
	cert              *x509.Certificate
	key               *ecdsa.PrivateKey
	certPEM, keyPEM   []byte
	certFile, keyFile string
}

// pki holds every identity of one plane; its folder holds each as NAME.crt and NAME.key.
type pki struct {
	dir            string
	ca, frontProxy *identity

	apiserver, proxyClient, admin, manager, foresail, foresailServing *identity
}

// newPKI makes two authorities, one for users and servers, one for the aggregator's own identity (were they the same, any
// user with a client certificate could speak for any other to an aggregated API server), and all that they sign.
func newPKI(dir string) (*pki, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot create the folder for keys: %w", err)
	}
	p := &pki{dir: dir}
	loopback := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	for _, want := range []struct {
		as     **identity
		file   string
		signer **identity // Nil for an authority, which signs itself.
		name   pkix.Name
		dns    []string
		ips    []net.IP
	}{
		{as: &p.ca, file: "ca", name: pkix.Name{CommonName: "controlplane-ca"}},
		{as: &p.frontProxy, file: "front-proxy-ca", name: pkix.Name{CommonName: "front-proxy-ca"}},
		{as: &p.apiserver, file: "apiserver", signer: &p.ca, name: pkix.Name{CommonName: "kube-apiserver"},
			dns: []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
			ips: append(loopback, net.IPv4(10, 0, 0, 1))},
		{as: &p.proxyClient, file: "front-proxy-client", signer: &p.frontProxy, name: pkix.Name{CommonName: "front-proxy-client"}},
		{as: &p.admin, file: "admin", signer: &p.ca, name: pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}},
		{as: &p.manager, file: "controller-manager", signer: &p.ca, name: pkix.Name{CommonName: "system:kube-controller-manager"}},
		{as: &p.foresail, file: "foresail", signer: &p.ca, name: pkix.Name{CommonName: "foresail"}},
		{as: &p.foresailServing, file: "foresail-serving", signer: &p.ca, name: pkix.Name{CommonName: "foresail.foresail.svc"},
			dns: []string{"foresail.foresail.svc", "localhost"}, ips: loopback},
	} {
		var signer *identity
		if want.signer != nil {
			signer = *want.signer
		}
		id, err := newIdentity(signer, want.name, want.dns, want.ips)
		if err != nil {
			return nil, fmt.Errorf("cannot make certificate %s: %w", want.file, err)
		}
		if err := id.write(filepath.Join(dir, want.file)); err != nil {
			return nil, err
		}
		*want.as = id
	}
	return p, p.writeServiceAccountKey()
}

// newIdentity makes a key and a certificate for it, signed by signer, or an authority when signer is nil.
func newIdentity(signer *identity, name pkix.Name, dns []string, ips []net.IP) (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: name, DNSNames: dns, IPAddresses: ips, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	parent, parentKey := template, key
	if signer == nil {
		template.IsCA, template.KeyUsage, template.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
	} else {
		parent, parentKey = signer.cert, signer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &identity{
		cert: cert, key: key,
		certPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keyPEM:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}),
	}, nil
}

func (id *identity) write(base string) error {
	id.certFile, id.keyFile = base+".crt", base+".key"
	if err := os.WriteFile(id.certFile, id.certPEM, 0o644); err != nil {
		return fmt.Errorf("cannot write certificate: %w", err)
	}
	if err := os.WriteFile(id.keyFile, id.keyPEM, 0o600); err != nil {
		return fmt.Errorf("cannot write key: %w", err)
	}
	return nil
}

// writeServiceAccountKey writes sa.key and sa.pub, with which service account tokens are signed and checked.
func (p *pki) writeServiceAccountKey() error {
	id, err := newIdentity(nil, pkix.Name{CommonName: "service-accounts"}, nil, nil)
	if err != nil {
		return fmt.Errorf("cannot make the service account key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&id.key.PublicKey)
	if err != nil {
		return fmt.Errorf("cannot encode the service account key: %w", err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	if err := os.WriteFile(p.file("sa.pub"), publicPEM, 0o644); err != nil {
		return fmt.Errorf("cannot write the service account key: %w", err)
	}
	if err := os.WriteFile(p.file("sa.key"), id.keyPEM, 0o600); err != nil {
		return fmt.Errorf("cannot write the service account key: %w", err)
	}
	return nil
}

func (p *pki) file(name string) string { return filepath.Join(p.dir, name) }
