package backtest

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// A file is written whole or stays as it was, and nothing is left of what failed.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "out.csv"), filepath.Join(dir, "link.csv")
	full := errors.New("no space left")
	told := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, failed := io.WriteString(w, text)
			return errors.Join(failed, err)
		}
	}
	expect := func(want string, files int) {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil || string(text) != want {
			t.Errorf("%q, %v; want %q", text, err, want)
		}
		if all, err := os.ReadDir(dir); err != nil || len(all) != files {
			t.Errorf("%v, %v; want %d files", all, err, files)
		}
	}
	if err := create(path, told("half", full)); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a file is there: %v", err)
	}
	if err := create(path, told("whole", nil)); err != nil {
		t.Fatal(err)
	}
	expect("whole", 1)
	if err := create(path, told("half", full)); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	expect("whole", 1)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := create(link, told("through a link", nil)); err != nil {
		t.Fatal(err)
	}
	expect("through a link", 2)
	if info, err := os.Lstat(link); err != nil || info.Mode().IsRegular() {
		t.Errorf("the link is one no more: %v, %v", info, err)
	}
}

// What is no file, such as a device, is never removed: here a socket, which cannot be written to.
func TestCreateKeepsDevices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	socket, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := create(path, func(io.Writer) error { return nil }); err == nil {
		t.Error("written to a socket")
	}
	if info, err := os.Stat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
		t.Errorf("%v, %v", info, err)
	}
}
