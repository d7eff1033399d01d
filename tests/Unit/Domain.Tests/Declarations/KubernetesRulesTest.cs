using Sluice.Domain.Declarations;
using Sluice.Domain.Gpus;

namespace Sluice.Domain.Tests.Declarations;

/// <summary>Tests the rules of the Kubernetes policy of a template.</summary>
public sealed class KubernetesRulesTest
{
    private static readonly Dictionary<string, string> Spot = new() { ["pool"] = "spot" };

    [Fact]
    public void A_valid_policy_has_no_error() => Assert.Empty(Errors(new KubernetesPolicy
    {
        Queue = "team-a",
        PriorityClass = "low.1",
        RuntimeClass = "kata",
        NodeSelector = new Dictionary<string, string> { ["example.com/pool"] = "Spot_1", ["empty"] = "" },
        Tolerations = [new NodeToleration { Key = "spot", Effect = "NoSchedule" }],
        SafeToEvict = false,
    }));

    [Fact]
    public void Each_wrong_field_is_named()
    {
        Assert.Equal(["kubernetes.queue"], Errors(new KubernetesPolicy { Queue = new string('q', 64) }));
        Assert.Equal(["kubernetes.priorityClass"], Errors(new KubernetesPolicy { PriorityClass = "Low" }));
        Assert.Equal(["kubernetes.runtimeClass"], Errors(new KubernetesPolicy { RuntimeClass = "-" }));
        Assert.Equal(["kubernetes.nodeSelector", "kubernetes.nodeSelector.a/b/c"],
            Errors(new KubernetesPolicy { NodeSelector = new Dictionary<string, string> { ["a/b/c"] = "two words" } }));
        var wrong = new NodeToleration { Key = "", Value = "\n", Effect = "No" };
        Assert.Equal(["key", "value", "effect"],
            Errors(new KubernetesPolicy { Tolerations = [new NodeToleration { Key = "a" }, wrong] })
                .Select(f => f.Replace("kubernetes.tolerations[1].", "", StringComparison.Ordinal)));
        Assert.Equal(["kubernetes.nodeSelector"],
            Errors(new KubernetesPolicy { NodeSelector = Spot }, new GpuRequirements()));
    }

    private static IEnumerable<string> Errors(KubernetesPolicy policy, GpuRequirements? gpu = null) =>
        EndpointRules.Check(new Template { Name = "t", Gpu = gpu, Kubernetes = policy }, "").Select(e => e.Field);
}
