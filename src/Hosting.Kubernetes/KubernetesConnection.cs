using System.Net;
using k8s;
using k8s.Exceptions;
using k8s.Models;

namespace Sluice.Hosting.Kubernetes;

/// <summary>The client of an API server, and the namespace of the workers.</summary>
/// <param name="Client">The client. There is one per host, because it owns its connections.</param>
/// <param name="Namespace">The namespace.</param>
internal sealed record KubernetesConnection(IKubernetes Client, string Namespace) : IDisposable
{
    private const string DefaultNamespace = "default";

    /// <summary>How often an idle connection is checked; the client's own default is 3 min.</summary>
    private static readonly TimeSpan PingEvery = TimeSpan.FromSeconds(15);

    private static readonly TimeSpan PingTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Connects; no call is made yet.</summary>
    /// <exception cref="InvalidOperationException">The kubeconfig cannot be read, or does not exist.</exception>
    public static KubernetesConnection Create(KubernetesSettings settings)
    {
        KubernetesClientConfiguration config;
        try
        {
            var context = settings.Context.Length > 0 ? settings.Context : null;
            config = settings.Config.Length > 0
                ? KubernetesClientConfiguration.BuildConfigFromConfigFile(settings.Config, context)
                : KubernetesClientConfiguration.IsInCluster() ? KubernetesClientConfiguration.InClusterConfig()
                : KubernetesClientConfiguration.BuildConfigFromConfigFile(currentContext: context);
        }
        catch (Exception e) when (e is KubeConfigException or IOException or UnauthorizedAccessException
            or YamlDotNet.Core.YamlException)
        {
            var set = settings.Config.Length > 0 ? $"is '{settings.Config}'" : "is not set";
            throw new InvalidOperationException(
                $"SLUICE_KUBERNETES_CONFIG {set}; expected a readable kubeconfig, or a gateway that runs as a pod with "
                + $"a service account: {e.Message}", e);
        }

        config.FirstMessageHandlerSetup = handler =>
        {
            handler.KeepAlivePingDelay = PingEvery;
            handler.KeepAlivePingTimeout = PingTimeout;
        };
        var ns = settings.Namespace.Length > 0 ? settings.Namespace
            : config.Namespace is { Length: > 0 } own ? own : DefaultNamespace;
        return new KubernetesConnection(new k8s.Kubernetes(config), ns);
    }

    /// <summary>
    /// Reads the owner for each start: one that was created again has another UID, and Kubernetes would delete pods of
    /// the old one.
    /// </summary>
    /// <param name="name">Name of the ConfigMap (<see cref="KubernetesSettings.Owner"/>).</param>
    /// <param name="ct">Cancels the call.</param>
    /// <exception cref="InvalidOperationException">It does not exist.</exception>
    public async Task<V1OwnerReference> FindOwnerAsync(string name, CancellationToken ct)
    {
        try
        {
            var found = await Client.CoreV1.ReadNamespacedConfigMapAsync(name, Namespace, cancellationToken: ct);
            // With a controller, kubectl drain evicts the pod.
            return new V1OwnerReference
            {
                ApiVersion = "v1",
                Kind = "ConfigMap",
                Name = name,
                Uid = found.Metadata.Uid,
                Controller = true,
            };
        }
        catch (Exception e) when (KubernetesErrors.Is(e, HttpStatusCode.NotFound))
        {
            throw new InvalidOperationException($"SLUICE_KUBERNETES_OWNER is '{name}'; expected a ConfigMap in "
                + $"namespace {Namespace}: kubectl create configmap {name} --namespace {Namespace}", e);
        }
    }

    public void Dispose() => Client.Dispose();
}
