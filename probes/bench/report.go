package bench

// Report is what the verb bench prints as JSON, a contract: what was measured on which
// machine, with the results by batch.
type Report struct {
	Model       string            `json:"model"`
	Sample      []int             `json:"sample"`
	Sites       int               `json:"sites"`
	Units       int               `json:"units"`
	CodeBytes   int               `json:"code_bytes"`
	Backend     string            `json:"backend"`
	Device      string            `json:"device"`
	Precision   string            `json:"precision"`
	TF32        bool              `json:"tf32"`
	Tune        string            `json:"tune,omitempty"`
	Threads     int               `json:"threads"` // 0 for all cores
	Seed        uint64            `json:"seed"`
	Directions  int               `json:"directions,omitempty"`
	Radius      float64           `json:"radius,omitempty"`
	Machine     Machine           `json:"machine"`
	Versions    map[string]string `json:"versions"`
	Results     []*Result         `json:"results"`
	BestBatch   int               `json:"best_batch"`
	PeakBytes   int64             `json:"peak_host_bytes,omitempty"`
	Noisy       bool              `json:"noisy"`
	CommandLine []string          `json:"command"`
}
