package plane

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// writeStages joins kwok's stage files from folder from into one config file. A positive delay keeps a new pod Pending for
// that long: the start-up time of an application.
func writeStages(from, file string, delay time.Duration) error {
	var all strings.Builder
	for _, name := range stageFiles {
		text, err := os.ReadFile(filepath.Join(from, path.Base(name)))
		if err != nil {
			return fmt.Errorf("cannot read kwok's stage: %w: run `controlplane build` first", err)
		}
		stage := string(text)
		if delay > 0 && path.Base(name) == "pod-ready.yaml" {
			if stage, err = delayed(stage, delay); err != nil {
				return err
			}
		}
		all.WriteString("---\n" + stage)
	}
	if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
		return fmt.Errorf("cannot write kwok's stages: %w", err)
	}
	return nil
}

// delayed gives a stage that has no delay one.
func delayed(stage string, delay time.Duration) (string, error) {
	const spec = "\nspec:\n"
	if strings.Count(stage, spec) != 1 || strings.Contains(stage, "\n  delay:") {
		return "", fmt.Errorf("cannot put a delay into kwok's stage: it is not written as expected:\n%s", stage)
	}
	return strings.Replace(stage, spec, fmt.Sprintf("%s  delay:\n    durationMilliseconds: %d\n", spec, delay.Milliseconds()), 1), nil
}
