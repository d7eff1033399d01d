using Microsoft.Extensions.DependencyInjection;

namespace Sluice.Hosting.Docker;

/// <summary>Registers the Docker host.</summary>
public static class DockerHostServices
{
    /// <summary>Adds the host <c>docker</c>, with the settings <c>SLUICE_DOCKER_*</c>.</summary>
    public static HostRegistry AddDockerHost(this HostRegistry hosts) => hosts.Add(new HostRegistration
    {
        Name = "docker",
        Capabilities = new HostCapabilities { Containers = true },
        SettingsPrefix = "SLUICE_DOCKER_",
        Configure = env =>
        {
            var settings = DockerSettingsReader.Read(env);
            return services => ActivatorUtilities.CreateInstance<DockerHost>(services, settings);
        },
        ConfigureUserPods = env =>
        {
            var settings = DockerSettingsReader.Read(env);
            return services => ActivatorUtilities.CreateInstance<DockerUserPodHost>(services, settings);
        },
    });
}
