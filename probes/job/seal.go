package job

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A sealed file is JSON with the SHA-256 of itself in it, under "sum": of its bytes with
// zeros in the place of that sum's digits. So a file says by itself whether it is whole. The
// plan and the records are sealed; manifest.json is not, since it follows from these.

var unset = strings.Repeat("0", 2*sha256.Size)

var sumField = regexp.MustCompile(`"sum": "([0-9a-f]{64})"`)

// sealed marshals v, whose field sum goes to JSON as "sum".
func sealed(v any, sum *string) ([]byte, error) {
	*sum = unset
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return nil, err
	}
	b = append(b, '\n')
	h := sha256.Sum256(b)
	*sum = hex.EncodeToString(h[:])
	return bytes.Replace(b, []byte(`"sum": "`+unset+`"`), []byte(`"sum": "`+*sum+`"`), 1), nil
}

// checkSeal says what is wrong with a sealed file that was read as v with a sum. One that
// was written by an earlier version has none, and nothing in it that is not known.
func checkSeal(b []byte, v any, sum string) error {
	at := sumField.FindSubmatchIndex(b)
	if at == nil {
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(v); sum != "" || err != nil {
			return errors.Join(errors.New("it was changed since it was written"), err)
		}
		return nil
	}
	was := string(b[at[2]:at[3]])
	blank := bytes.Clone(b)
	copy(blank[at[2]:at[3]], unset)
	if h := sha256.Sum256(blank); hex.EncodeToString(h[:]) != was {
		return fmt.Errorf("it was changed since it was written: its SHA-256 is %.12s…, and it says %.12s…", hex.EncodeToString(h[:]), was)
	}
	return nil
}
