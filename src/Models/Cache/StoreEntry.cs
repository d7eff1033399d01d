namespace Sluice.Models.Cache;

/// <summary>One model, or one incomplete download, of the store.</summary>
/// <param name="Key">Its key.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="UsedAt">When a worker was last started with it, or a download last wrote to it.</param>
/// <param name="InUse">Whether a worker uses it, or a download writes it.</param>
public sealed record StoreEntry(string Key, long Bytes, DateTimeOffset UsedAt, bool InUse);
