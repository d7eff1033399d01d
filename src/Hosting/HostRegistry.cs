namespace Sluice.Hosting;

/// <summary>The hosts of a gateway by name. Each host's project adds its own.</summary>
public sealed class HostRegistry
{
    private readonly List<HostRegistration> hosts = [];

    /// <summary>The hosts, in the order of their registration. The first one is the default.</summary>
    public IReadOnlyList<HostRegistration> All => hosts;

    /// <summary>Adds a host.</summary>
    /// <exception cref="ArgumentException">A host with this name exists.</exception>
    public HostRegistry Add(HostRegistration host)
    {
        if (hosts.Any(h => h.Name == host.Name))
            throw new ArgumentException($"host is '{host.Name}'; expected a name that is not in use.", nameof(host));
        hosts.Add(host);
        return this;
    }

    /// <summary>Returns the host with a name, or the default if the name is null.</summary>
    /// <param name="setting">Name of the setting, for the error message.</param>
    /// <param name="name">The name.</param>
    /// <exception cref="InvalidOperationException">No host has this name. The message lists the names.</exception>
    public HostRegistration Select(string setting, string? name) =>
        name is null ? hosts[0] : hosts.Find(h => h.Name == name)
            ?? throw new InvalidOperationException($"{setting} is '{name}'; expected {Names()}.");

    /// <summary>Returns the names as text: <c>process, docker or kubernetes</c>.</summary>
    private string Names()
    {
        var names = hosts.ConvertAll(h => h.Name);
        return names.Count < 2 ? string.Concat(names) : $"{string.Join(", ", names[..^1])} or {names[^1]}";
    }
}
