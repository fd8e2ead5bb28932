package snapshot

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"
)

// A file is a line that tells its kind and version, its records and an end: of each record four bytes of length, four of checksum (CRC-32C)
// and itself. The end has length 0, and the number of records in the place of the checksum.

// ErrVersion is the error of a file of another kind or version.
var ErrVersion = errors.New("not a snapshot of this version")

// recordMost is the length of the longest record in bytes.
const recordMost = 16 << 20

// File writes the records of a file.
type File struct {
	out   *bufio.Writer
	count uint32
}

// NewFile begins a file with its kind.
func NewFile(w io.Writer, kind string) (*File, error) {
	f := &File{out: bufio.NewWriterSize(w, 1<<20)}
	_, err := f.out.WriteString(kind)
	return f, err
}

// Add writes a record that is not empty.
func (f *File) Add(record []byte) error {
	f.count++
	if err := f.header(uint32(len(record)), sum(record)); err != nil {
		return err
	}
	_, err := f.out.Write(record)
	return err
}

// End writes the end.
func (f *File) End() error { return errors.Join(f.header(0, f.count), f.out.Flush()) }

func (f *File) header(length, sum uint32) error {
	var b [8]byte
	binary.LittleEndian.PutUint32(b[:], length)
	binary.LittleEndian.PutUint32(b[4:], sum)
	_, err := f.out.Write(b[:])
	return err
}

func sum(record []byte) uint32 { return crc32.Checksum(record, crc32.MakeTable(crc32.Castagnoli)) }

// decoders is how many records are taken at once.
const decoders = 4

// Read calls take, several at a time, with every record of a file of a kind, which is not to be kept. The error wraps ErrVersion,
// ErrDamaged or that of r; the records before that were taken.
func Read(r io.Reader, kind string, take func(record []byte)) error {
	in := bufio.NewReaderSize(r, 1<<20)
	start := make([]byte, len(kind))
	if _, err := io.ReadFull(in, start); err != nil && !ended(err) {
		return err
	}
	if string(start) != kind {
		return ErrVersion
	}
	read, empty := make(chan []byte), make(chan []byte, decoders)
	var decoding sync.WaitGroup
	defer decoding.Wait()
	defer close(read)
	for range decoders {
		empty <- nil
		decoding.Go(func() {
			for record := range read {
				take(record)
				empty <- record
			}
		})
	}
	for count := uint32(0); ; count++ {
		record, err := next(in, <-empty, count)
		if err != nil || record == nil {
			return err
		}
		read <- record
	}
}

// next reads a record, the count-th, into buffer; nil at the end.
func next(in io.Reader, buffer []byte, count uint32) ([]byte, error) {
	var b [8]byte
	if _, err := io.ReadFull(in, b[:]); err != nil {
		return nil, fmt.Errorf("it ends after %d series: %w", count, torn(err))
	}
	length, told := binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint32(b[4:])
	switch {
	case length == 0 && told != count:
		return nil, fmt.Errorf("it has %d of %d series: %w", count, told, ErrDamaged)
	case length == 0:
		return nil, nil
	case length > recordMost:
		return nil, fmt.Errorf("series %d has %d bytes: %w", count, length, ErrDamaged)
	}
	buffer = slices.Grow(buffer[:0], int(length))[:length]
	if _, err := io.ReadFull(in, buffer); err != nil {
		return nil, fmt.Errorf("series %d: %w", count, torn(err))
	}
	if sum(buffer) != told {
		return nil, fmt.Errorf("series %d: wrong checksum: %w", count, ErrDamaged)
	}
	return buffer, nil
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// torn is the error of a file that ends too early.
func torn(err error) error {
	if ended(err) {
		return fmt.Errorf("%w: %w", err, ErrDamaged)
	}
	return err
}
