using Microsoft.Extensions.DependencyInjection;

namespace Sluice.Hosting.Kubernetes;

/// <summary>Registers the Kubernetes host.</summary>
public static class KubernetesHostServices
{
    /// <summary>Adds the host <c>kubernetes</c>, with the settings <c>SLUICE_KUBERNETES_*</c>.</summary>
    public static HostRegistry AddKubernetesHost(this HostRegistry hosts) => hosts.Add(new HostRegistration
    {
        Name = "kubernetes",
        Capabilities = new HostCapabilities(),
        SettingsPrefix = "SLUICE_KUBERNETES_",
        Configure = env =>
        {
            var settings = KubernetesSettingsReader.Read(env);
            return services => ActivatorUtilities.CreateInstance<KubernetesHost>(services, settings);
        },
        ConfigureUserPods = env =>
        {
            var settings = KubernetesSettingsReader.Read(env);
            return services => ActivatorUtilities.CreateInstance<KubernetesUserPodHost>(services, settings);
        },
    });
}
