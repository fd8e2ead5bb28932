// Package certs keeps the certificates of an aggregated API server in a Secret: an authority of its own and what that
// signs, renewed in time, with the authorities written into the APIServices, so that reads are verified.
//
// Which certificate is due when is said by [Terms.Renew], which asks nobody. [Keeper] does the rest.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// The keys of the Secret, as cert-manager and kubernetes.io/tls name them.
const (
	keyBundle       = "ca.crt" // authorities, the newest first
	keyAuthorityKey = "ca.key" // of the newest
	keyServing      = "tls.crt"
	keyServingKey   = "tls.key"
)

const (
	// authorityName begins the common name of each authority of ours; what has another is somebody else's.
	authorityName = "Foresail authority "
	// backdate is by how much the clocks of the API servers that verify may differ.
	backdate = time.Hour
	// mostAuthorities bounds the bundle, should somebody have the authority renewed over and over.
	mostAuthorities = 5
)

// ErrForeign is for a Secret whose content Foresail has not made, and so does not replace.
var ErrForeign = errors.New("this is not Foresail's work, and is not replaced")

// Terms say which certificates are wanted.
type Terms struct {
	// Names are the DNS names of the serving certificate.
	Names []string
	// Authority and Serving are how long a new certificate is good for, above 1h. It is renewed when a third of its time is left.
	Authority, Serving time.Duration
	// Settle is the time from making an authority to serving what it signed: clients learn of it in between.
	Settle time.Duration
}

// Set is the content of a Secret. The zero Set is that of an empty one.
type Set struct {
	authorities []*x509.Certificate // the newest first
	key         *ecdsa.PrivateKey   // of the newest; nil if it is missing or not of it
	serving     *x509.Certificate   // nil if it is missing or its key is not of it
	servingKey  *ecdsa.PrivateKey
}

// Read returns what the data of a Secret hold. What is missing or broken beside an authority of Foresail's is left out, and so is
// due. The error wraps ErrForeign where something is there that is not such a Secret's; other keys do not count.
func Read(data map[string][]byte) (Set, error) {
	var s Set
	if len(data[keyBundle]) == 0 {
		for _, key := range []string{keyAuthorityKey, keyServing, keyServingKey} {
			if len(data[key]) > 0 {
				return s, fmt.Errorf("it has %s and no %s: %w", key, keyBundle, ErrForeign)
			}
		}
		return s, nil
	}
	for rest := data[keyBundle]; len(strings.TrimSpace(string(rest))) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return Set{}, fmt.Errorf("its %s is no list of certificates in PEM: %w", keyBundle, ErrForeign)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Set{}, fmt.Errorf("its %s is no list of certificates (%w): %w", keyBundle, err, ErrForeign)
		}
		if !strings.HasPrefix(c.Subject.CommonName, authorityName) {
			return Set{}, fmt.Errorf("the authority %q is in its %s: %w", c.Subject, keyBundle, ErrForeign)
		}
		s.authorities = append(s.authorities, c)
	}
	if key := parseKey(data[keyAuthorityKey]); key != nil && key.PublicKey.Equal(s.authorities[0].PublicKey) {
		s.key = key
	}
	if pair, err := tls.X509KeyPair(data[keyServing], data[keyServingKey]); err == nil {
		if key, ok := pair.PrivateKey.(*ecdsa.PrivateKey); ok {
			s.serving, s.servingKey = pair.Leaf, key
		}
	}
	return s, nil
}

// Bundle is the authorities that clients are to trust, in PEM; empty if there is none.
func (s Set) Bundle() []byte {
	var bundle []byte
	for _, a := range s.authorities {
		bundle = append(bundle, certificatePEM(a)...)
	}
	return bundle
}

// Pair is the serving certificate and its key in PEM; both are empty if there is none.
func (s Set) Pair() (certificate, key []byte, err error) {
	if s.serving == nil {
		return nil, nil, nil
	}
	if key, err = keyPEM(s.servingKey); err != nil {
		return nil, nil, err
	}
	return certificatePEM(s.serving), key, nil
}

// Data is the set as a Secret holds it. It has an authority with its key, and a serving certificate: Renew has returned it.
func (s Set) Data() (map[string][]byte, error) {
	certificate, key, err := s.Pair()
	if err != nil {
		return nil, err
	}
	authority, err := keyPEM(s.key)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{keyBundle: s.Bundle(), keyAuthorityKey: authority, keyServing: certificate, keyServingKey: key}, nil
}

// Renew returns the set as it should be at this time by the verifiers' clock, and why each certificate was renewed; no
// reasons mean that it is s. Told says that all clients trust what is in s.
//
// A new authority goes before the others, and what an older one signed is served on until clients have been told of it and
// Settle is over, or until that cannot be verified any more. The others stay trusted until they end: servers may still serve what
// they signed, and their keys are gone.
func (t Terms) Renew(s Set, told bool, now time.Time) (next Set, why []string, err error) {
	next = s
	if reason := s.authorityDue(now); reason != "" {
		why = append(why, "authority: "+reason)
		a, key, err := t.newAuthority(now)
		if err != nil {
			return s, nil, err
		}
		kept := slices.DeleteFunc(slices.Clone(s.authorities), func(old *x509.Certificate) bool { return now.After(old.NotAfter) })
		next.authorities, next.key = append([]*x509.Certificate{a}, kept[:min(len(kept), mostAuthorities-1)]...), key
	}
	if reason := t.servingDue(next, told, now); reason != "" {
		why = append(why, "serving certificate: "+reason)
		if err := t.sign(&next, now); err != nil {
			return s, nil, err
		}
	}
	return next, why, nil
}

func (s Set) authorityDue(now time.Time) string {
	switch {
	case len(s.authorities) == 0:
		return "there was none"
	case s.key == nil:
		return "its key was missing, or another's"
	}
	return due(s.authorities[0], now)
}

func (t Terms) servingDue(s Set, told bool, now time.Time) string {
	if s.serving == nil {
		return "there was none with its key"
	}
	if err := t.verify(s, now); err != nil {
		return err.Error()
	}
	newest := s.authorities[0]
	if s.serving.CheckSignatureFrom(newest) == nil {
		return due(s.serving, now)
	}
	if told && !now.Before(newest.NotBefore.Add(backdate+t.Settle)) {
		return "there is a newer authority"
	}
	return ""
}

// verify is what a client does that trusts the bundle.
func (t Terms) verify(s Set, now time.Time) error {
	roots := x509.NewCertPool()
	for _, a := range s.authorities {
		roots.AddCert(a)
	}
	if _, err := s.serving.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now}); err != nil {
		return fmt.Errorf("it was not valid: %w", err)
	}
	for _, name := range t.Names {
		if err := s.serving.VerifyHostname(name); err != nil {
			return fmt.Errorf("it was not for this Service: %w", err)
		}
	}
	return nil
}

// due says why a certificate should be renewed by its times.
func due(c *x509.Certificate, now time.Time) string {
	switch renewal := c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 3); {
	case now.Before(c.NotBefore):
		return "it was not valid before " + c.NotBefore.Format(time.RFC3339)
	case !now.Before(renewal):
		return "it ends at " + c.NotAfter.Format(time.RFC3339)
	}
	return ""
}

func (t Terms) newAuthority(now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	template := &x509.Certificate{
		// The time keeps apart authorities of one name, of which clients would try just one.
		Subject:   pkix.Name{CommonName: authorityName + now.UTC().Format(time.RFC3339Nano)},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(t.Authority),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return newCertificate(template, nil, nil)
}

// sign has the newest authority sign a new serving certificate, which ends with it at the latest.
func (t Terms) sign(s *Set, now time.Time) (err error) {
	end := now.Add(t.Serving)
	if last := s.authorities[0].NotAfter; end.After(last) {
		end = last
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: t.Names[0]}, DNSNames: t.Names,
		NotBefore: now.Add(-backdate), NotAfter: end,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	s.serving, s.servingKey, err = newCertificate(template, s.authorities[0], s.key)
	return err
}

// newCertificate returns a certificate with a new key, signed by itself where nobody else is named.
func newCertificate(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a key: %w", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, fmt.Errorf("cannot make a serial number: %w", err)
	}
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot sign a certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read a certificate just made: %w", err)
	}
	return c, key, nil
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot write a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// parseKey returns nil for what is no key of the kind that we make.
func parseKey(text []byte) *ecdsa.PrivateKey {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil
	}
	ec, _ := key.(*ecdsa.PrivateKey)
	return ec
}
