package keda

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of KEDA's externalscaler.proto, as far as they are used. Fields that are not known are skipped, as protobuf has it.
type (
	// scaledObject is ScaledObjectRef: {name = 1, namespace = 2, scalerMetadata = 3}.
	scaledObject struct {
		name, namespace string
		metadata        map[string]string
	}
	// metricsRequest is GetMetricsRequest: {scaledObjectRef = 1, metricName = 2}.
	metricsRequest struct {
		object scaledObject
		metric string
	}
	// activity is IsActiveResponse: {result = 1}.
	activity bool
	// metric is the one MetricSpec of GetMetricSpecResponse and the one MetricValue of GetMetricsResponse, which look the same:
	// {1 = {metricName = 1, whole = 2, float = 3}}. KEDA takes the whole number where the other is 0.
	metric struct {
		name  string
		value float64
	}
)

type (
	request interface{ decode(data []byte) error }
	reply   interface{ encode() []byte }
)

// codec is protobuf for the messages above.
type codec struct{}

var _ encoding.Codec = codec{}

// Name implements encoding.Codec.
func (codec) Name() string { return "proto" }

// Marshal implements encoding.Codec.
func (codec) Marshal(v any) ([]byte, error) {
	m, ok := v.(reply)
	if !ok {
		return nil, fmt.Errorf("cannot encode a %T", v)
	}
	return m.encode(), nil
}

// Unmarshal implements encoding.Codec.
func (codec) Unmarshal(data []byte, v any) error {
	m, ok := v.(request)
	if !ok {
		return fmt.Errorf("cannot decode a %T", v)
	}
	return m.decode(data)
}

func (s *scaledObject) decode(data []byte) error {
	return texts(data, func(field protowire.Number, text []byte) error {
		switch field {
		case 1:
			s.name = string(text)
		case 2:
			s.namespace = string(text)
		case 3:
			var key, value string
			err := texts(text, func(field protowire.Number, text []byte) error {
				switch field {
				case 1:
					key = string(text)
				case 2:
					value = string(text)
				}
				return nil
			})
			if err != nil {
				return err
			}
			if s.metadata == nil {
				s.metadata = make(map[string]string)
			}
			s.metadata[key] = value
		}
		return nil
	})
}

func (m *metricsRequest) decode(data []byte) error {
	return texts(data, func(field protowire.Number, text []byte) error {
		switch field {
		case 1:
			return m.object.decode(text)
		case 2:
			m.metric = string(text)
		}
		return nil
	})
}

func (a activity) encode() []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), protowire.EncodeBool(bool(a)))
}

func (m metric) encode() []byte {
	inner := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), m.name)
	inner = protowire.AppendVarint(protowire.AppendTag(inner, 2, protowire.VarintType), uint64(math.Ceil(min(m.value, math.MaxInt64/2))))
	inner = protowire.AppendFixed64(protowire.AppendTag(inner, 3, protowire.Fixed64Type), math.Float64bits(m.value))
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
}

var errBadMessage = errors.New("cannot read a protobuf message")

// texts calls visit with every length-delimited field of a message, and skips the others.
func texts(message []byte, visit func(field protowire.Number, text []byte) error) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("%w: %w", errBadMessage, protowire.ParseError(n))
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(field, kind, message); n < 0 {
			return fmt.Errorf("%w: %w", errBadMessage, protowire.ParseError(n))
		}
		if kind == protowire.BytesType {
			text, _ := protowire.ConsumeBytes(message)
			if err := visit(field, text); err != nil {
				return err
			}
		}
		message = message[n:]
	}
	return nil
}
