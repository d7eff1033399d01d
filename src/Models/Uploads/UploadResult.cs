namespace Sluice.Models.Uploads;

/// <summary>What became of a part of an upload.</summary>
public enum UploadResult
{
    /// <summary>It is stored.</summary>
    Stored,

    /// <summary>The upload exceeds the limit of one upload.</summary>
    TooLarge,

    /// <summary>The body has not the length of its <c>Content-Range</c>. Earlier parts are kept.</summary>
    WrongLength,
}
