using Sluice.Hosting.UserPods;

namespace Sluice.Hosting;

/// <summary>A kind of host that <c>SLUICE_POD_HOST</c> can select.</summary>
public sealed record HostRegistration
{
    /// <summary>The value of <c>SLUICE_POD_HOST</c>.</summary>
    public required string Name { get; init; }

    public required HostCapabilities Capabilities { get; init; }

    /// <summary>Start of the names of the variables that only this host reads; null: it has none.</summary>
    public string? SettingsPrefix { get; init; }

    /// <summary>
    /// Reads the host's settings from the environment, and returns a function that creates the host. Called only for
    /// the selected host, before any service exists. Throws <see cref="InvalidOperationException"/> if a setting is
    /// invalid; the message contains name, value and rule.
    /// </summary>
    public required Func<Func<string, string?>, Func<IServiceProvider, IPodHost>> Configure { get; init; }

    /// <summary>The same for the pods of users.</summary>
    public required Func<Func<string, string?>, Func<IServiceProvider, IUserPodHost>> ConfigureUserPods { get; init; }
}
