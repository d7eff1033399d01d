using System.Net;

namespace Sluice.Hosting.Processes;

/// <summary>The address on which workers listen.</summary>
/// <param name="Address">The address; null: the loopback address.</param>
public sealed record ProcessBinding(IPAddress? Address);
