package admin

import (
	"context"
	"errors"
	"fmt"
	"math"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// The method of ORCA, and the fields of its report (xds.data.orca.v3.OrcaLoadReport) that are read.
const (
	loadMethod             = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics"
	cpuUtilization         = protowire.Number(1)
	applicationUtilization = protowire.Number(9)
)

// ErrBadReport is the error of a report that cannot be decoded.
var ErrBadReport = errors.New("cannot understand the report of ORCA")

// Utilization asks the server how busy it is: what its application says, else its share of CPU, 0 and above (1 is all that
// it has; more is possible); and whether it says so. Reports come every 30 s at most, but the first one of a stream
// comes at once: a stream is opened for that one. A server without ORCA is not asked again on the same connection.
func (c *Conn) Utilization(ctx context.Context) (float64, bool, error) {
	if dial := c.dials.Load(); dial == c.withoutLoad && dial > 0 {
		return 0, false, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ctx, err := c.with(ctx)
	if err != nil {
		return 0, false, err
	}
	report, err := c.firstReport(ctx)
	switch {
	case status.Code(err) == codes.Unimplemented:
		c.withoutLoad = c.dials.Load()
		return 0, false, fmt.Errorf("%w: ORCA is not registered", ErrNotServed)
	case err != nil:
		return 0, false, fmt.Errorf("cannot ask ORCA for a report: %w", err)
	}
	c.calls++
	return utilization(report)
}

// firstReport opens a stream and reads one message. Its errors are those of gRPC.
func (c *Conn) firstReport(ctx context.Context) ([]byte, error) {
	stream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, loadMethod, grpc.ForceCodec(bytesCodec{}))
	if err != nil {
		return nil, err
	}
	request, report := []byte{}, []byte{}
	if err := stream.SendMsg(&request); err != nil {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	err = stream.RecvMsg(&report)
	return report, err
}

// utilization reads a report. Numbers that are 0 are not sent: 0 and absent are the same.
func utilization(report []byte) (float64, bool, error) {
	values := make(map[protowire.Number]float64)
	for len(report) > 0 {
		field, kind, n := protowire.ConsumeTag(report)
		if n < 0 {
			return 0, false, fmt.Errorf("%w: %w", ErrBadReport, protowire.ParseError(n))
		}
		report = report[n:]
		n = protowire.ConsumeFieldValue(field, kind, report)
		if n < 0 {
			return 0, false, fmt.Errorf("%w: %w", ErrBadReport, protowire.ParseError(n))
		}
		if kind == protowire.Fixed64Type {
			bits, _ := protowire.ConsumeFixed64(report)
			values[field] = math.Float64frombits(bits)
		}
		report = report[n:]
	}
	for _, field := range []protowire.Number{applicationUtilization, cpuUtilization} {
		if v := values[field]; v > 0 && !math.IsInf(v, 0) {
			return v, true, nil
		}
	}
	return 0, false, nil
}

// bytesCodec leaves messages as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("cannot send %T", v)
	}
	return *b, nil
}

func (bytesCodec) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("cannot receive %T", v)
	}
	*b = append((*b)[:0], data...)
	return nil
}
