using Microsoft.Extensions.DependencyInjection;

namespace Sluice.Hosting.Processes;

/// <summary>Registers the process host.</summary>
public static class ProcessHostServices
{
    /// <summary>
    /// Adds the host <c>process</c>. The services must contain a <see cref="BuiltInWorker"/>,
    /// <see cref="StandbySettings"/> and <see cref="ProcessPodSettings"/>.
    /// </summary>
    public static HostRegistry AddProcessHost(this HostRegistry hosts) => hosts.Add(new HostRegistration
    {
        Name = "process",
        Capabilities = new HostCapabilities { StandbyWorkers = true },
        Configure = env =>
        {
            var binding = new ProcessBinding(NodeAddress.Read(env));
            return services => ActivatorUtilities.CreateInstance<ProcessHost>(services, binding);
        },
        ConfigureUserPods = _ => services => ActivatorUtilities.CreateInstance<ProcessUserPodHost>(services),
    });
}
