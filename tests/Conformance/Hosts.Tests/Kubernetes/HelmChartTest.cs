using System.Diagnostics;
using System.Text.Json.Nodes;
using k8s;
using k8s.Models;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Kubernetes;

/// <summary>The chart, rendered and linted by the real helm; each object is deserialized strictly.</summary>
public sealed class HelmChartTest
{
    private static readonly string Helm = Path.Combine(
        Repository.Root, "tests", "Conformance", "Hosts.Tests", "helm", "node_modules", "bin", "helm", "helm");

    private static readonly string Chart = Path.Combine(Repository.Root, "deploy", "helm", "sluice");

    /// <summary>Options of helm, and the kinds of objects that they add or remove.</summary>
    public static TheoryData<string[], string[], string[]> Variants => new()
    {
        { [], ["Deployment", "StatefulSet", "Namespace", "Role", "ClusterRole", "NetworkPolicy"], ["Ingress"] },
        { ["--set", "redis.existingSecret=mine"], ["Deployment"], ["StatefulSet"] },
        { ["--set", "workers.create=false,workers.readNodes=false"], ["Role"], ["Namespace", "ClusterRole"] },
        {
            ["--set", "ingress.enabled=true,ingress.tlsSecret=cert,autoscaling.enabled=true",
                "--set", "shared.accessModes={ReadWriteMany}",
                "--set", "networkPolicy.enabled=false"],
            ["Ingress", "HorizontalPodAutoscaler"], ["NetworkPolicy"]
        },
        {
            ["--set", "models.size=10Gi,models.path=onnx,shared.size=10Gi,redis.size=,adminKey.existingSecret=admin",
                "--set", "workerSecrets=s,existingManifest=m,imagePullSecrets={a},workers.mounts={data}",
                "--set", "env.SLUICE_CORS_ORIGINS=*"],
            ["PersistentVolumeClaim"], []
        },
        { ["--set", "metrics.grafanaDashboards.enabled=true"], ["ConfigMap"], [] },
    };

    [Theory]
    [MemberData(nameof(Variants))]
    public async Task Each_object_is_valid(string[] options, string[] has, string[] lacks)
    {
        var text = await RunAsync(["template", "release", Chart, "--namespace", "prod", .. options]);
        var objects = KubernetesYaml.LoadAllFromString(text, strict: true).Cast<IKubernetesObject>().ToList();
        var kinds = objects.Select(o => o.Kind).ToHashSet();
        Assert.Empty(has.Except(kinds));
        Assert.Empty(kinds.Intersect(lacks));

        foreach (var pod in objects.OfType<V1Deployment>().Select(d => d.Spec.Template.Spec)
            .Concat(objects.OfType<V1StatefulSet>().Select(s => s.Spec.Template.Spec))
            .Concat(objects.OfType<V1Pod>().Select(p => p.Spec)))
        {
            Assert.True(pod.SecurityContext.RunAsNonRoot);
            Assert.Equal("RuntimeDefault", pod.SecurityContext.SeccompProfile.Type);
            Assert.All(pod.Containers, c =>
            {
                Assert.False(c.SecurityContext.AllowPrivilegeEscalation);
                Assert.True(c.SecurityContext.ReadOnlyRootFilesystem);
                Assert.Equal(["ALL"], c.SecurityContext.Capabilities.Drop);
            });
        }
    }

    [Fact]
    public async Task A_ServiceMonitor_selects_the_gateways()
    {
        var text = await RunAsync("template", "release", Chart, "--set", "metrics.serviceMonitor.enabled=true",
            "--show-only", "templates/monitoring.yaml");
        Assert.Contains("kind: ServiceMonitor", text, StringComparison.Ordinal);
        Assert.Contains("name: release-sluice-admin", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ReadWriteOnce", "Recreate")]
    [InlineData("ReadWriteMany", "RollingUpdate")]
    public async Task A_gateway_is_replaced_only_after_its_end_if_its_claim_has_one_node(string mode, string strategy)
    {
        var text = await RunAsync("template", "release", Chart, "--set", $"shared.accessModes={{{mode}}}");
        var deployment = Assert.Single(KubernetesYaml.LoadAllFromString(text, strict: true).OfType<V1Deployment>());
        Assert.Equal(strategy, deployment.Spec.Strategy.Type);
    }

    [Fact]
    public async Task Each_dashboard_of_Grafana_is_in_a_ConfigMap()
    {
        var text = await RunAsync("template", "release", Chart, "--set", "metrics.grafanaDashboards.enabled=true");
        var maps = KubernetesYaml.LoadAllFromString(text, strict: true).OfType<V1ConfigMap>()
            .Where(m => m.Metadata.Labels.ContainsKey("grafana_dashboard")).SelectMany(m => m.Data).ToList();
        var files = Directory.GetFiles(Path.Combine(Repository.Root, "deploy", "grafana", "dashboards"));
        Assert.NotEmpty(files);
        Assert.Equal(files.Select(Path.GetFileName).Order(), maps.Select(m => m.Key).Order());
        Assert.All(maps, m => Assert.NotNull(JsonNode.Parse(m.Value)!["panels"]));
    }

    [Fact]
    public async Task The_workers_are_not_selected_as_gateways_and_the_role_allows_what_the_host_uses()
    {
        var text = await RunAsync("template", "release", Chart, "--namespace", "prod");
        var objects = KubernetesYaml.LoadAllFromString(text, strict: true);
        var role = Assert.Single(objects.OfType<V1Role>());
        Assert.Equal("prod-workers", role.Metadata.NamespaceProperty);
        var rules = role.Rules
            .SelectMany(r => r.Resources.SelectMany(x => r.Verbs.Select(v => $"{v} {x}"))).ToHashSet();
        Assert.Equal(new HashSet<string>
        {
            "get pods", "list pods", "watch pods", "create pods", "delete pods", "patch pods", "get pods/log",
            "get secrets", "create secrets", "get configmaps",
            "get persistentvolumeclaims", "create persistentvolumeclaims", "delete persistentvolumeclaims",
        }, rules);
        var deployment = Assert.Single(objects.OfType<V1Deployment>());
        Assert.Equal("sluice", deployment.Spec.Selector.MatchLabels["app.kubernetes.io/name"]);
        var owner = Assert.Single(objects.OfType<V1ConfigMap>(), m => m.Metadata.NamespaceProperty == "prod-workers");
        var env = deployment.Spec.Template.Spec.Containers[0].Env.ToDictionary(e => e.Name, e => e.Value);
        Assert.Equal((owner.Metadata.Name, "prod-workers"),
            (env["SLUICE_KUBERNETES_OWNER"], env["SLUICE_KUBERNETES_NAMESPACE"]));
        var policy = Assert.Single(objects.OfType<V1NetworkPolicy>(),
            p => p.Metadata.Name.EndsWith("-workers", StringComparison.Ordinal));
        Assert.Equal(owner.Metadata.Name, policy.Spec.PodSelector.MatchLabels["sluice/owner"]);
        var pods = Assert.Single(objects.OfType<V1NetworkPolicy>(),
            p => p.Metadata.Name.EndsWith("-pods", StringComparison.Ordinal));
        Assert.Equal(owner.Metadata.Name, pods.Spec.PodSelector.MatchLabels["sluice/user-pods"]);
        var blocks = pods.Spec.Egress.SelectMany(e => e.To ?? []).Select(t => t.IpBlock);
        Assert.Contains(blocks, b => b?.Except.Contains("10.0.0.0/8") == true);
        // A pod of a user reaches no gateway, worker or Redis of the cluster.
        Assert.DoesNotContain(pods.Spec.Egress, e => e.To is null && e.Ports is null);
    }

    [Fact]
    public async Task The_linter_has_no_complaints_and_invalid_values_are_named()
    {
        await RunAsync("lint", "--strict", Chart);
        foreach (var (value, says) in new[]
        {
            ("replicas=0", "/replicas"), ("workers.podSecurity=none", "/workers/podSecurity"),
            ("models.size=large", "/models/size"), ("unknown=1", "unknown"), ("workers.image=", "/workers/image"),
            ("shared.size=", "shared.existingClaim"), ("replicas=2", "shared.accessModes"),
        })
        {
            var error = await Assert.ThrowsAsync<InvalidOperationException>(
                () => RunAsync("template", "release", Chart, "--set", value));
            Assert.Contains(says, error.Message, StringComparison.Ordinal);
        }
    }

    private static async Task<string> RunAsync(params string[] arguments)
    {
        Require.Available(File.Exists(Helm) ? null : "helm is not installed (eng/ensure-test-tools)");
        using var process = Process.Start(new ProcessStartInfo(Helm, arguments)
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? output
            : throw new InvalidOperationException($"helm {string.Join(' ', arguments)}: {await errors}{output}");
    }
}
