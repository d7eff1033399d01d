using System.Net;
using k8s;
using k8s.Autorest;
using k8s.Models;
using Sluice.Hosting;
using Sluice.Hosting.Kubernetes;
using Sluice.Testing;

namespace Sluice.Hosts.Tests.Kubernetes;

/// <summary>
/// A real cluster for the conformance tests, described by variables: <c>SLUICE_TEST_KUBECONFIG</c>, whose current
/// context may create pods in its namespace; <c>SLUICE_TEST_KUBERNETES_IMAGE</c>, the built-in worker with busybox;
/// <c>SLUICE_TEST_KUBERNETES_MODELS</c>, a claim with the sample models; optionally
/// <c>SLUICE_TEST_KUBERNETES_STORAGE_CLASS</c>. Addresses of pods must be reachable from the tests.
/// </summary>
internal sealed class RealCluster : IDisposable
{
    private readonly k8s.Kubernetes client;
    private readonly string space;

    public RealCluster()
    {
        var config = KubernetesClientConfiguration.BuildConfigFromConfigFile(Variable("SLUICE_TEST_KUBECONFIG"));
        client = new k8s.Kubernetes(config);
        space = config.Namespace ?? "default";
    }

    /// <summary>Why there is no cluster; null: there is one.</summary>
    public static string? WhyNot => Variable("SLUICE_TEST_KUBECONFIG").Length == 0
        ? "SLUICE_TEST_KUBECONFIG is not set; expected the kubeconfig of a cluster"
        : null;

    public static string Image => Variable("SLUICE_TEST_KUBERNETES_IMAGE");

    public static KubernetesSettings Settings => new()
    {
        Config = Variable("SLUICE_TEST_KUBECONFIG"),
        Owner = "sluice-test",
        WorkerImage = Image,
        Models = new ClaimPath(Variable("SLUICE_TEST_KUBERNETES_MODELS")),
        PodStorageClass = Variable("SLUICE_TEST_KUBERNETES_STORAGE_CLASS"),
    };

    public async Task CreateOwnerAsync()
    {
        try
        {
            await client.CoreV1.CreateNamespacedConfigMapAsync(
                new V1ConfigMap { Metadata = new V1ObjectMeta { Name = Settings.Owner } }, space);
        }
        catch (HttpOperationException e) when (e.Response.StatusCode == HttpStatusCode.Conflict)
        {
            // Another test has created it.
        }
    }

    /// <summary>Waits until the pod has gone, which takes until the kubelet has stopped its containers.</summary>
    public Task GoneAsync(string pod) => Eventually.HoldsAsync(async () =>
    {
        try
        {
            await client.CoreV1.ReadNamespacedPodAsync(pod, space);
            return false;
        }
        catch (HttpOperationException e) when (e.Response.StatusCode == HttpStatusCode.NotFound)
        {
            return true;
        }
    });

    /// <summary>Runs a program in a running pod.</summary>
    public async Task RunAsync(string pod, params string[] command)
    {
        var exit = await client.NamespacedPodExecAsync(
            pod, space, PodNames.Container, command, tty: false, (_, _, _) => Task.CompletedTask, default);
        Assert.Equal(0, exit);
    }

    public void Dispose() => client.Dispose();

    private static string Variable(string name) => Environment.GetEnvironmentVariable(name) ?? "";
}
