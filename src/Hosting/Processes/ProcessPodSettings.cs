namespace Sluice.Hosting.Processes;

/// <summary>Settings for the pods of users on the process host.</summary>
/// <param name="Templates">
/// Names of the templates whose pods may run as processes, with the gateway's user and access to its files.
/// </param>
/// <param name="Folder">The folder of the pods' volumes.</param>
public sealed record ProcessPodSettings(IReadOnlyList<string> Templates, string Folder);
