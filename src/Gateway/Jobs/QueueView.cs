namespace Sluice.Gateway.Jobs;

/// <summary>The position of a queued job and its wait reason.</summary>
/// <param name="Position">The position among all queued jobs, from 1.</param>
/// <param name="Reason">One of the codes of <see cref="WaitReason"/>.</param>
/// <param name="Detail">The reason, as text.</param>
/// <param name="EtaMs">Estimated time until the job starts, in ms. Null: there is no data for an estimate.</param>
public sealed record QueueView(int Position, string Reason, string Detail, double? EtaMs);
