namespace Sluice.Models.Downloads;

/// <summary>
/// A model cannot be delivered. The message has the reason and what would help, for operators. It is an <see
/// cref="InvalidOperationException"/>, because hosts report the reason of a failed start with this type.
/// </summary>
public sealed class ModelFailureException : InvalidOperationException
{
    public ModelFailureException()
    {
    }

    public ModelFailureException(string message) : base(message)
    {
    }

    public ModelFailureException(string message, Exception? inner) : base(message, inner)
    {
    }

    /// <summary>Whether the disk is full. Space may become available when other models are deleted.</summary>
    public bool IsDiskFull { get; init; }
}
