// Package conformance runs the Gateway API's own tests of meshes against the cluster that KUBECONFIG names.
package conformance

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/gateway-api/conformance"
	meshtests "sigs.k8s.io/gateway-api/conformance/tests/mesh"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
	"sigs.k8s.io/yaml"
)

// TestMesh runs every test of a mesh. The suite skips a test that uses a feature which is not claimed, so every feature
// that any of them uses is claimed: what is not built yet fails, and is seen to.
func TestMesh(t *testing.T) {
	claimed := sets.New[features.FeatureName]()
	for _, test := range meshtests.MeshConformanceTests {
		claimed.Insert(test.Features...)
	}
	options := conformance.DefaultOptions(t)
	options.SupportedFeatures = sets.List(claimed)
	options.ConformanceProfiles = []suite.ConformanceProfileName{
		suite.MeshHTTPConformanceProfileName,
		suite.MeshGRPCConformanceProfileName,
	}
	if options.NamespaceLabels == nil {
		options.NamespaceLabels = map[string]string{"inject": "true"}
	}
	tests, err := suite.NewConformanceTestSuite(options)
	require.NoError(t, err)
	// Before Run, whose own cleanup must have been: cleanups go last in, first out.
	t.Cleanup(func() { report(t, tests, options.ReportOutputPath) })
	tests.Setup(t, meshtests.MeshConformanceTests)
	require.NoError(t, tests.Run(t, meshtests.MeshConformanceTests))
}

// report writes what implementations hand in to the Gateway API project, where -report-output asks for it.
func report(t *testing.T, tests *suite.ConformanceTestSuite, path string) {
	if path == "" {
		return
	}
	found, err := tests.Report()
	require.NoError(t, err)
	text, err := yaml.Marshal(found)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text, 0o600))
}
