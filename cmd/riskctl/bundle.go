package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trendbuy/riskscorer/scoring/bundle"
	"github.com/trendbuy/riskscorer/scoring/leaves"
)

func newBundleCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "bundle", Short: "Verify, inspect, pack and sign model bundles"}
	cmd.AddCommand(newBundleVerifyCommand(), newBundleInspectCommand(), newBundlePackCommand(), newBundleSignCommand())
	return cmd
}

func newBundleVerifyCommand() *cobra.Command {
	var (
		keys   []string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "verify BUNDLE",
		Short: "Make every check that the service makes before it serves a bundle",
		Long: `Make every check that the service makes before it serves a bundle. Then the second engine, leaves, which shares no
code with the first, judges the golden rows. A model that it cannot express is not judged, which is no fault of the bundle.`,
		Example: "  riskctl bundle verify models/trendbuy_xgb_v1.0.0",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := openBundle(cmd, args[0], keys)
			var failed *bundle.CheckError
			if err != nil && !errors.As(err, &failed) {
				return err
			}
			second, judgeErr := judge(b)
			if printErr := printChecks(cmd.OutOrStdout(), b, append(checkResults(b, failed), second), asJSON); printErr != nil {
				return dependency(printErr)
			}
			return errors.Join(err, notHeld(judgeErr))
		},
	}
	cmd.Flags().StringArrayVar(&keys, "public-key", nil, "minisign public key that must have signed the bundle (repeatable: any of them)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// checkResult is one line of the verdict.
type checkResult struct {
	Check  string `json:"check"`
	Result string `json:"result"` // ok, failed, not reached, or not judged
	Detail string `json:"detail,omitempty"`
}

func checkResults(b *bundle.Bundle, failed *bundle.CheckError) []checkResult {
	var out []checkResult
	reached := true
	for _, check := range bundle.Checks() {
		r := checkResult{Check: check, Result: "ok"}
		switch {
		case !reached:
			r.Result = "not reached"
		case failed != nil && failed.Check == check:
			r.Result, r.Detail, reached = "failed", failed.Err.Error(), false
		case check == bundle.CheckSignature && b != nil && !b.Signed:
			r.Detail = "no public key given, so none demanded"
		case check == bundle.CheckGolden:
			r.Detail = fmt.Sprintf("%d rows; largest difference: margin %g, score %g, contribution %g",
				b.Parity.Rows, b.Parity.MaxMargin, b.Parity.MaxScore, b.Parity.MaxContribution)
		}
		out = append(out, r)
	}
	return out
}

// judge lets the second engine judge the golden rows of a bundle that passed its checks; nil is one that did not.
func judge(b *bundle.Bundle) (checkResult, error) {
	r := checkResult{Check: "leaves", Result: "not reached"}
	if b == nil {
		return r, nil
	}
	engine, err := leaves.New(b.Forest)
	if err != nil {
		r.Result, r.Detail = "not judged", fmt.Sprintf("0 of %d rows: %v", b.Parity.Rows, err)
		return r, nil
	}
	found, err := b.Judge(engine)
	r.Result = "ok"
	r.Detail = fmt.Sprintf("%d of %d rows judged, 0 cannot be expressed; largest difference: margin %.2g, score %.2g",
		found.Rows, b.Parity.Rows, found.MaxMargin, found.MaxScore)
	if err != nil {
		err = fmt.Errorf("engine %s: %w", engine.ID(), err)
		r.Result, r.Detail = "failed", err.Error()
	}
	return r, err
}

func printChecks(w io.Writer, b *bundle.Bundle, checks []checkResult, asJSON bool) error {
	verdict := struct {
		Holds       bool          `json:"holds"`
		Version     string        `json:"version,omitempty"`
		ModelDigest string        `json:"model_digest,omitempty"`
		Checks      []checkResult `json:"checks"`
	}{Holds: !slices.ContainsFunc(checks, func(c checkResult) bool { return c.Result == "failed" }), Checks: checks}
	if b != nil {
		verdict.Version, verdict.ModelDigest = b.Manifest.Version, b.Digest.String()
	}
	if asJSON {
		return printJSON(w, verdict)
	}
	if b != nil {
		fmt.Fprintf(w, "%s  model digest %s\n", verdict.Version, verdict.ModelDigest)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range verdict.Checks {
		fmt.Fprintf(table, "%s\t%s\t%s\n", c.Check, c.Result, c.Detail)
	}
	return table.Flush()
}

func newBundleInspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "inspect BUNDLE",
		Short:   "Show what a bundle's model is and what it demands of features",
		Example: "  riskctl bundle inspect models/trendbuy_xgb_v1.0.0",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := openBundle(cmd, args[0], nil)
			if err != nil {
				return err
			}
			if asJSON {
				return dependency(printJSON(cmd.OutOrStdout(), b.Manifest))
			}
			return dependency(printManifest(cmd.OutOrStdout(), b))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the manifest as JSON")
	return cmd
}

func printManifest(w io.Writer, b *bundle.Bundle) error {
	m := &b.Manifest
	fmt.Fprintf(w, "%s  %s %s, %d trees, %s\nmodel digest %s\nbands: MEDIUM from %g, HIGH from %g\n", m.Version,
		m.Model.Library, m.Model.LibraryVersion, len(b.Forest.Trees), b.Forest.Objective, b.Digest, m.Thresholds.Medium, m.Thresholds.High)
	if e := m.Evaluation; e != nil {
		fmt.Fprintf(w, "on %d held-back orders: ROC-AUC %.4f, Brier score %.4f\n", e.Rows, e.ROCAUC, e.Brier)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nFEATURE\tTYPE\tPOLICY\tALLOWED\tIMPORTANCE\tRAISES")
	for i := range m.Features {
		f := &m.Features[i]
		allowed := bound(f.Allowed.Min) + " to " + bound(f.Allowed.Max)
		if f.Type == bundle.Category {
			allowed = fmt.Sprint(f.Categories)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%.3f\t%s\n", f.Name, f.Type, f.Policy, allowed, f.Importance, f.Reason.Raises)
	}
	return table.Flush()
}

func bound(x *float64) string {
	if x == nil {
		return "any"
	}
	return fmt.Sprint(*x)
}

func newBundlePackCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "pack BUNDLE",
		Short:   "Verify a bundle and write it as one tar file; the same bundle gives the same bytes",
		Example: "  riskctl bundle pack models/trendbuy_xgb_v1.0.0 --output trendbuy_xgb_v1.0.0.tar",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := openBundle(cmd, args[0], nil); err != nil {
				return err
			}
			return writeOutput(cmd, output, func(w io.Writer) error { return dependency(bundle.Pack(w, args[0])) })
		},
	}
	cmd.Flags().StringVar(&output, "output", "-", "tar file to write, - for standard output")
	return cmd
}

// passwordEnv holds the secret key's password: a flag would show in the process list.
const passwordEnv = "MINISIGN_PASSWORD"

func newBundleSignCommand() *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use:   "sign BUNDLE",
		Short: "Verify a bundle directory and sign its SHA256SUMS with a minisign secret key",
		Long: `Verify a bundle directory and write SHA256SUMS.minisig into it. The key file is one that 'minisign -G' made; the
password of an encrypted one is read from the environment variable ` + passwordEnv + `.`,
		Example: "  " + passwordEnv + "=... riskctl bundle sign models/trendbuy_xgb_v1.0.0 --key release.key",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := openBundle(cmd, args[0], nil); err != nil {
				return err
			}
			key, err := os.ReadFile(keyFile) // #nosec G304 -- the user names the file
			if err != nil {
				return dependency(err)
			}
			return dependency(bundle.Sign(args[0], key, os.Getenv(passwordEnv)))
		},
	}
	cmd.Flags().StringVar(&keyFile, "key", "", "minisign secret key file")
	required(cmd, "key")
	return cmd
}

func printJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(v)
}
