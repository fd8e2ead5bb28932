package connect

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/foresail/foresail/collectors/internal/secure"
)

// The mechanisms.
const (
	Plain       = "PLAIN"
	Scram256    = "SCRAM-SHA-256"
	Scram512    = "SCRAM-SHA-512"
	OAuthBearer = "OAUTHBEARER"
	AWSIAM      = "AWS_MSK_IAM"
)

// SASL is how this client says who it is. Files with secrets are read anew for each authentication, so that secrets can be
// replaced while Foresail runs.
type SASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM.
	Mechanism string `yaml:"mechanism"`
	// Username and PasswordFile are for PLAIN and SCRAM.
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"passwordFile"`
	// TokenFile holds a token for OAUTHBEARER that something else keeps fresh.
	TokenFile string `yaml:"tokenFile"`
	// TokenURL is where a token for OAUTHBEARER comes from instead (RFC 6749, 4.4: client credentials).
	TokenURL string `yaml:"tokenURL"`
	// ClientID, what ClientSecretFile holds, and Scopes are what is asked for there.
	ClientID         string   `yaml:"clientID"`
	ClientSecretFile string   `yaml:"clientSecretFile"`
	Scopes           []string `yaml:"scopes"`
	// AWS_MSK_IAM has no fields: it takes credentials from where all AWS tools do (environment, web identity, pod identity,
	// instance role), and the region from the brokers' names or AWS_REGION.
}

// Validate reports what does not make sense.
func (s *SASL) Validate(report func(field, problem string)) {
	password := map[string]string{"username": s.Username, "passwordFile": s.PasswordFile}
	client := map[string]string{"clientID": s.ClientID, "clientSecretFile": s.ClientSecretFile}
	token := map[string]string{"tokenFile": s.TokenFile, "tokenURL": s.TokenURL}
	switch s.Mechanism {
	case Plain, Scram256, Scram512:
		s.need(report, password)
		s.refuse(report, token, client)
	case OAuthBearer:
		s.refuse(report, password)
		s.validateToken(report, client)
	case AWSIAM:
		s.refuse(report, password, token, client)
	default:
		report("mechanism", fmt.Sprintf("%q is none of %s, %s, %s, %s and %s", s.Mechanism, Plain, Scram256, Scram512, OAuthBearer, AWSIAM))
	}
}

func (s *SASL) validateToken(report func(field, problem string), client map[string]string) {
	switch {
	case s.TokenFile == "" && s.TokenURL == "":
		report("tokenFile", "name a file that holds the token, or a tokenURL to get it from")
	case s.TokenFile != "" && s.TokenURL != "":
		report("tokenURL", "there is a tokenFile already: leave one of them out")
	case s.TokenFile != "":
		s.refuse(report, client)
	default:
		if u, err := url.Parse(s.TokenURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			report("tokenURL", fmt.Sprintf("%q is not an http or https URL", s.TokenURL))
		}
		s.need(report, client)
	}
}

func (s *SASL) need(report func(field, problem string), fields map[string]string) {
	for _, name := range sortedKeys(fields) {
		if fields[name] == "" {
			report(name, "missing: "+s.Mechanism+" needs it")
		}
	}
}

func (s *SASL) refuse(report func(field, problem string), groups ...map[string]string) {
	for _, fields := range groups {
		for _, name := range sortedKeys(fields) {
			if fields[name] != "" {
				report(name, s.Mechanism+" has no use for it: leave it out")
			}
		}
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Mechanisms returns the mechanism for a valid configuration, none for nil. Secrets are read when they are needed.
func (s *SASL) Mechanisms() []sasl.Mechanism {
	if s == nil {
		return nil
	}
	switch s.Mechanism {
	case Plain:
		return []sasl.Mechanism{plain.Plain(func(context.Context) (plain.Auth, error) {
			password, err := secure.Secret(s.PasswordFile)
			return plain.Auth{User: s.Username, Pass: password}, err
		})}
	case Scram256:
		return []sasl.Mechanism{scram.Sha256(s.scram)}
	case Scram512:
		return []sasl.Mechanism{scram.Sha512(s.scram)}
	case OAuthBearer:
		return []sasl.Mechanism{oauth.Oauth(s.bearer())}
	default:
		return []sasl.Mechanism{aws.ManagedStreamingIAM((&awsLogin{}).auth)}
	}
}

func (s *SASL) scram(context.Context) (scram.Auth, error) {
	password, err := secure.Secret(s.PasswordFile)
	return scram.Auth{User: s.Username, Pass: password}, err
}

// bearer returns where tokens come from.
func (s *SASL) bearer() func(context.Context) (oauth.Auth, error) {
	return func(ctx context.Context) (oauth.Auth, error) {
		if s.TokenFile != "" {
			token, err := secure.Secret(s.TokenFile)
			return oauth.Auth{Token: token}, err
		}
		clientSecret, err := secure.Secret(s.ClientSecretFile)
		if err != nil {
			return oauth.Auth{}, err
		}
		c := clientcredentials.Config{TokenURL: s.TokenURL, ClientID: s.ClientID, ClientSecret: clientSecret, Scopes: s.Scopes}
		token, err := c.Token(ctx)
		if err != nil {
			if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok { // its text holds the whole answer
				err = fmt.Errorf("%s: %s", strings.TrimSpace(refused.Response.Status), refused.ErrorCode)
			}
			return oauth.Auth{}, fmt.Errorf("cannot get a token from %s: %w", s.TokenURL, err)
		}
		return oauth.Auth{Token: token.AccessToken}, nil
	}
}

// awsLogin keeps what AWS's library finds out: where credentials come from, and those that are still good.
type awsLogin struct {
	mu       sync.Mutex
	provider awssdk.CredentialsProvider
}

func (l *awsLogin) auth(ctx context.Context) (aws.Auth, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.provider == nil {
		config, err := awsconfig.LoadDefaultConfig(ctx)
		if err != nil {
			return aws.Auth{}, fmt.Errorf("cannot read the AWS configuration: %w", err)
		}
		l.provider = config.Credentials
	}
	c, err := l.provider.Retrieve(ctx)
	if err != nil {
		return aws.Auth{}, fmt.Errorf("cannot get AWS credentials: %w", err)
	}
	return aws.Auth{AccessKey: c.AccessKeyID, SecretKey: c.SecretAccessKey, SessionToken: c.SessionToken}, nil
}
