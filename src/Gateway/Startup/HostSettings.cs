using Sluice.Hosting;
using Sluice.Hosting.Docker;
using Sluice.Hosting.Kubernetes;
using Sluice.Hosting.Processes;
using Sluice.Hosting.UserPods;

namespace Sluice.Gateway.Startup;

/// <summary>The selected pod host, with its settings.</summary>
/// <param name="Registration">The host.</param>
/// <param name="Create">Creates it.</param>
/// <param name="CreateUserPods">Creates the host of the pods of users.</param>
public sealed record HostSettings(
    HostRegistration Registration,
    Func<IServiceProvider, IPodHost> Create,
    Func<IServiceProvider, IUserPodHost> CreateUserPods)
{
    private const string Setting = "SLUICE_POD_HOST";

    /// <summary>The hosts of this build.</summary>
    private static readonly HostRegistry Hosts = new HostRegistry().AddProcessHost().AddDockerHost()
        .AddKubernetesHost();

    /// <summary>Reads the settings from environment variables.</summary>
    /// <param name="env">Returns the value of a variable, or null if it is not set.</param>
    /// <exception cref="InvalidOperationException">A variable has an invalid value. The message contains name, value
    /// and rule.</exception>
    public static HostSettings Read(Func<string, string?> env)
    {
        var host = Hosts.Select(Setting, env(Setting) is { Length: > 0 } name ? name : null);
        return new HostSettings(host, host.Configure(env), host.ConfigureUserPods(env));
    }

    /// <summary>Describes why SLUICE_STANDBY_WORKERS has no effect on the selected host; null if it has one.</summary>
    public string? DescribeUnusedStandby(int? count) =>
        count is null or 0 || Registration.Capabilities.StandbyWorkers ? null
        : $"SLUICE_STANDBY_WORKERS is '{count}'; expected 0 if {Setting} is {Registration.Name}, "
            + "because standby workers are processes.";

    /// <summary>Describes a variable that only another host reads; null if it is not one.</summary>
    public string? DescribeOtherHosts(string variable) =>
        Hosts.All.FirstOrDefault(h => h != Registration && h.SettingsPrefix is { } prefix
            && variable.StartsWith(prefix, StringComparison.Ordinal)) is { } other
            ? $"{variable} is only read if {Setting} is {other.Name}." : null;
}
