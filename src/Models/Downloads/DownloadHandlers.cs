namespace Sluice.Models.Downloads;

/// <summary>Receivers of the progress of a download, and its limit.</summary>
/// <param name="Received">Receives the number of bytes of the file that are stored, whenever it changes.</param>
/// <param name="Sized">Receives the size of the file when the server reports it, before its content is written.</param>
/// <param name="MaxBytes">The largest size that is accepted.</param>
public sealed record DownloadHandlers(Action<long> Received, Action<long> Sized, long MaxBytes);
