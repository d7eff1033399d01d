namespace Sluice.Hosting.UserPods;

/// <summary>Selects lines of a log.</summary>
/// <param name="Since">Only lines after this time; null: no limit.</param>
/// <param name="Tail">At most this many of the last lines that exist; null: all.</param>
/// <param name="Follow">Whether the enumeration continues with new lines until the program exits.</param>
public readonly record struct UserPodLogRange(DateTimeOffset? Since, int? Tail, bool Follow);
